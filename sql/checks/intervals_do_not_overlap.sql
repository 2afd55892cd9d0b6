/*
meaning: Of one price, one rule's price, one model's attributes and one model's listing there is at most one at a time.
grain: an interval that reaches into the next
reads: marts.price_history, marts.price_rule_history, marts.model_history, marts.model_spells
columns:
  mart: Where the interval stands.
  source: Where the model was listed.
  model_id: The model's id.
  part: The price kind, after the number of its rule where it is a rule's; empty for the model as a whole.
  valid_from: Where the interval begins.
  valid_to: Where it ends; null while it lasts.
  next_from: Where the next one begins.
*/
WITH intervals AS (
    SELECT 'price_history' AS mart, source, model_id, price_kind AS part, valid_from, valid_to
    FROM catalogue.marts.price_history
    UNION ALL
    SELECT
        'price_rule_history' AS mart,
        source,
        model_id,
        CAST(rule_no AS VARCHAR) || ' ' || price_kind AS part,
        valid_from,
        valid_to
    FROM catalogue.marts.price_rule_history
    UNION ALL
    SELECT 'model_history' AS mart, source, model_id, '' AS part, valid_from, valid_to
    FROM catalogue.marts.model_history
    UNION ALL
    SELECT 'model_spells' AS mart, source, model_id, '' AS part, listed_from AS valid_from, listed_to AS valid_to
    FROM catalogue.marts.model_spells
),

followed AS (
    SELECT
        *,
        lead(valid_from) OVER (PARTITION BY mart, source, model_id, part ORDER BY valid_from) AS next_from
    FROM intervals
)

SELECT mart, source, model_id, part, valid_from, valid_to, next_from
FROM followed
WHERE next_from IS NOT NULL AND (valid_to IS NULL OR next_from < valid_to)
