/*
meaning: The answers about offers and providers that make history.
grain: an accepted capture
reads: core.answers, core.verdicts
columns:
  capture_no: The capture's number within this file.
  source: Where it was captured.
  topic: What was asked for: `offers` of one model, `zdr` (offers without data retention), `providers`.
  model_no: The model's number within this file; 0 where no model was asked about.
  observed_at: When the source said it.
  list_no: What it lists.
*/
SELECT
    a.capture_no,
    a.source,
    a.topic,
    a.model_no,
    a.observed_at,
    a.list_no
FROM catalogue.core.answers AS a
WHERE
    a.list_no IS NOT NULL
    AND a.capture_no NOT IN (
        SELECT capture_no
        FROM catalogue.core.verdicts
        WHERE known_to IS NULL AND verdict <> 'accepted'
    )
