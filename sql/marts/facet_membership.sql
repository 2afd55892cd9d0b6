/*
meaning: Which models a facet had: a filter such as `zdr=true`, a ranking such as `category=programming`, an account's `models/user`.
grain: a stretch in which every snapshot of a facet has a model
reads: core.facet_intervals, core.model_ids
columns:
  source: Where the facet was captured, such as `openrouter`.
  facet: What was asked for, such as `zdr=true`.
  model_id: The id under which the facet lists the model.
  valid_from: The first snapshot of the facet in this stretch that has the model.
  valid_to: The first later one that lacks it; null while it lasts.
  last_seen_at: The last one that has it; null while it lasts.
  is_left_censored: Whether the stretch begins with the facet's first snapshot, so that nobody knows since when it had lasted.
*/
SELECT
    s.source,
    s.facet,
    m.model_id,
    s.valid_from,
    s.valid_to,
    s.last_seen_at,
    s.is_left_censored
FROM catalogue.core.facet_intervals AS s
JOIN catalogue.core.model_ids AS m ON m.model_no = s.model_no
WHERE s.known_to IS NULL AND s.rank IS NULL
