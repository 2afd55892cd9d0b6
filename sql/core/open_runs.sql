/*
meaning: What every model that is listed now is known as, and when it was last seen.
grain: a model listed now, per source
reads: core.runs, core.coverage
columns:
  source: Where the model is listed.
  model_no: The model's number within this file.
  version_no: The version listed now.
  valid_from: The first snapshot that shows this version.
  last_seen_at: The latest snapshot that covers the model, and so lists it.
*/
SELECT
    r.source,
    r.model_no,
    r.version_no,
    r.valid_from,
    CASE WHEN c.last_at >= r.text_listed_from THEN c.last_at ELSE greatest(r.valid_from, c.last_all_at) END AS last_seen_at
FROM catalogue.core.runs AS r
JOIN catalogue.core.coverage AS c ON c.source = r.source AND c.known_to IS NULL
WHERE r.known_to IS NULL AND r.valid_to IS NULL
