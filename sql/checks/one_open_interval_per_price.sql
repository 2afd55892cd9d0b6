/*
meaning: A price in force stands in exactly one open interval of the history, and its model is listed.
grain: a price of which this is not so
reads: marts.price_history, marts.prices, marts.models
columns:
  source: Where the model is listed.
  model_id: The model's id.
  price_kind: What is paid for.
  open_intervals: Intervals of the history that have not ended.
  prices_in_force: Rows of the prices in force now.
  is_listed: Whether the model is listed now.
*/
WITH both_sides AS (
    SELECT source, model_id, price_kind, 1 AS open_intervals, 0 AS prices_in_force
    FROM catalogue.marts.price_history
    WHERE valid_to IS NULL
    UNION ALL
    SELECT source, model_id, price_kind, 0 AS open_intervals, 1 AS prices_in_force
    FROM catalogue.marts.prices
),

counted AS (
    SELECT
        source,
        model_id,
        price_kind,
        sum(open_intervals) AS open_intervals,
        sum(prices_in_force) AS prices_in_force
    FROM both_sides
    GROUP BY source, model_id, price_kind
)

SELECT
    c.source,
    c.model_id,
    c.price_kind,
    c.open_intervals,
    c.prices_in_force,
    m.model_id IS NOT NULL AS is_listed
FROM counted AS c
LEFT JOIN catalogue.marts.models AS m ON m.source = c.source AND m.model_id = c.model_id
WHERE c.open_intervals <> 1 OR c.prices_in_force <> 1 OR m.model_id IS NULL
