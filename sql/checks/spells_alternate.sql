/*
meaning: Between two spells of a model it was away; spells count from 1, and only the first can be left-censored.
grain: a spell that breaks this
reads: marts.model_spells
columns:
  source: Where the model was listed.
  model_id: The model's id.
  spell_no: The number of the spell.
  place: The number that it should have.
  listed_from: Where the spell begins.
  previous_to: Where the spell before it ends; null for the first.
*/
WITH placed AS (
    SELECT
        *,
        row_number() OVER w AS place,
        lag(listed_to) OVER w AS previous_to
    FROM catalogue.marts.model_spells
    WINDOW w AS (PARTITION BY source, model_id ORDER BY listed_from)
)

SELECT source, model_id, spell_no, place, listed_from, previous_to
FROM placed
WHERE
    spell_no <> place
    OR (place > 1 AND (previous_to IS NULL OR previous_to >= listed_from OR is_left_censored))
