/*
meaning: What every model that is listed now is known as, and when it was last seen.
grain: a model listed now, per source
reads: core.runs, core.versions, core.accepted
columns:
  source: Where the model is listed.
  model_no: The model's number within this file.
  version_no: The version listed now.
  valid_from: The first snapshot that shows this version.
  outputs_text: Whether a listing of text models would show it.
  last_seen_at: The latest snapshot that covers the model, and so lists it.
*/
WITH coverage AS (
    SELECT
        source,
        max(observed_at) AS last_text_at,
        max(CASE WHEN lists_every_modality THEN observed_at END) AS last_all_at
    FROM catalogue.core.accepted
    GROUP BY source
)

SELECT
    r.source,
    r.model_no,
    r.version_no,
    r.valid_from,
    v.outputs_text,
    CASE WHEN v.outputs_text THEN c.last_text_at ELSE greatest(r.valid_from, c.last_all_at) END AS last_seen_at
FROM catalogue.core.runs AS r
JOIN catalogue.core.versions AS v ON v.version_no = r.version_no
JOIN coverage AS c ON c.source = r.source
WHERE r.known_to IS NULL AND r.valid_to IS NULL
