/*
meaning: Every interval ends after it begins, and was last seen within.
grain: an interval that does not
reads: marts.price_history, marts.price_rule_history, marts.model_history, marts.model_spells
columns:
  mart: Where the interval stands.
  source: Where the model was listed.
  model_id: The model's id.
  valid_from: Where the interval begins.
  last_seen_at: When it was last seen.
  valid_to: Where it ends.
*/
WITH intervals AS (
    SELECT 'price_history' AS mart, source, model_id, valid_from, last_seen_at, valid_to
    FROM catalogue.marts.price_history
    UNION ALL
    SELECT 'price_rule_history' AS mart, source, model_id, valid_from, last_seen_at, valid_to
    FROM catalogue.marts.price_rule_history
    UNION ALL
    SELECT 'model_history' AS mart, source, model_id, valid_from, last_seen_at, valid_to
    FROM catalogue.marts.model_history
    UNION ALL
    SELECT 'model_spells' AS mart, source, model_id, listed_from AS valid_from, last_seen_at, listed_to AS valid_to
    FROM catalogue.marts.model_spells
)

SELECT mart, source, model_id, valid_from, last_seen_at, valid_to
FROM intervals
WHERE valid_to <= valid_from OR last_seen_at < valid_from OR last_seen_at >= valid_to
