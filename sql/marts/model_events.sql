/*
meaning: Models that came, went and came back.
grain: an event of a model, per source
reads: marts.model_spells
columns:
  happened_at: The snapshot that shows it.
  source: Where it was listed, such as `openrouter`.
  model_id: The model's id, such as `author/name` or `author/name:free`.
  event: `added` (an earlier snapshot would have listed it), `removed`, `returned`.
*/
SELECT
    listed_from AS happened_at,
    source,
    model_id,
    CASE WHEN spell_no = 1 THEN 'added' ELSE 'returned' END AS event
FROM catalogue.marts.model_spells
WHERE spell_no > 1 OR NOT is_left_censored
UNION ALL
SELECT
    listed_to AS happened_at,
    source,
    model_id,
    'removed' AS event
FROM catalogue.marts.model_spells
WHERE listed_to IS NOT NULL
