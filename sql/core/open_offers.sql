/*
meaning: The offers in force now: those that the last answer about their model lists, unless the model itself is not listed any more.
grain: an offer in force now, per source
reads: core.answer_runs, core.answer_lists, core.offer_versions, core.last_answers, core.gone_models
columns:
  source: Where it is offered.
  model_no: The model's number within this file.
  offer_no: The offer's number within this file.
  offer_state_no: What it is now.
  price_list_no: What it costs now.
  last_seen_at: The last answer about the model.
*/
WITH members AS (
    SELECT r.source, r.model_no, unnest(l.members) AS offer_version_no
    FROM catalogue.core.answer_runs AS r
    JOIN catalogue.core.answer_lists AS l ON l.list_no = r.list_no
    LEFT JOIN catalogue.core.gone_models AS g ON g.source = r.source AND g.model_no = r.model_no
    WHERE r.known_to IS NULL AND r.valid_to IS NULL AND r.topic = 'offers' AND g.model_no IS NULL
)

SELECT
    m.source,
    m.model_no,
    v.offer_no,
    v.offer_state_no,
    v.price_list_no,
    a.last_seen_at
FROM members AS m
JOIN catalogue.core.offer_versions AS v ON v.offer_version_no = m.offer_version_no
JOIN catalogue.core.last_answers AS a ON a.source = m.source AND a.topic = 'offers' AND a.model_no = m.model_no
