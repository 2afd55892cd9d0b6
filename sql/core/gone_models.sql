/*
meaning: Models that were listed and are not listed now, so that nobody asks for their offers any more.
grain: a model not listed now, per source
reads: core.spells
columns:
  source: Where it was listed.
  model_no: The model's number within this file.
  removed_at: The first snapshot that lacked it after its last spell.
*/
SELECT
    source,
    model_no,
    max(listed_to) AS removed_at
FROM catalogue.core.spells
WHERE known_to IS NULL
GROUP BY source, model_no
HAVING NOT bool_or(listed_to IS NULL)
