/*
meaning: The snapshots that make the catalogue's history.
grain: an accepted capture of a catalogue scope
reads: core.verdicts, raw.captures
columns:
  source: Where it was captured.
  capture_no: The capture's number within this file.
  observed_at: When the source said it.
  lists_every_modality: Whether it covers all models; else those with text output.
*/
SELECT
    c.source,
    c.capture_no,
    c.observed_at,
    c.lists_every_modality
FROM catalogue.core.verdicts AS v
JOIN catalogue.raw.captures AS c ON c.capture_no = v.capture_no
WHERE v.known_to IS NULL AND v.verdict = 'accepted' AND c.scope_kind = 'catalogue'
