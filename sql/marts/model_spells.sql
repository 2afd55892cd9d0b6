/*
meaning: Stretches of time in which a model was listed.
grain: a spell of a model, per source
reads: core.spells, core.model_ids, core.coverage
columns:
  source: Where it was listed, such as `openrouter`.
  model_id: The model's id, such as `author/name` or `author/name:free`.
  spell_no: Counts the spells of a model, from 1.
  listed_from: The first snapshot of the spell.
  listed_to: The first snapshot that covers the model and lacks it; null while it is listed.
  last_seen_at: The last snapshot of the spell.
  is_left_censored: Whether no earlier snapshot would have listed the model, so that nobody knows since when it was listed.
*/
SELECT
    s.source,
    m.model_id,
    s.spell_no,
    s.listed_from,
    s.listed_to,
    CASE
        WHEN s.listed_to IS NOT NULL THEN s.last_seen_at
        WHEN s.is_text_listed THEN c.last_at
        ELSE c.last_all_at
    END AS last_seen_at,
    s.is_left_censored
FROM catalogue.core.spells AS s
JOIN catalogue.core.model_ids AS m ON m.model_no = s.model_no
LEFT JOIN catalogue.core.coverage AS c ON c.source = s.source AND c.known_to IS NULL
WHERE s.known_to IS NULL
