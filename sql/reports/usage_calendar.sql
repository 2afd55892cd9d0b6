/*
meaning: Which prices a request pays: the stretches of the names in a usage log, day by day, with the rules' times of the week as instants. A request finds its row by its name, its UTC day, its instant and its prompt tokens.
grain: a name, a day, and a range of instants and of prompt tokens
builds on: usage_stretches, model_prices
columns:
  name_no: The name's number.
  day: The UTC day, counted from 1970-01-01.
  time_from: The first instant, in microseconds since 1970.
  time_to: The instant after the last one.
  least_tokens: The least prompt tokens.
  below_tokens: One more than the most.
  model_id: The model whose prices are paid.
  prices_no: The set of prices; null where none is in force.
  next_prices_no: The set that the next snapshot shows; null unless it is another.
  confidence: What is known of the prices: see usage_stretches.
*/
WITH days AS (
    SELECT
        s.*,
        unnest(generate_series(
            greatest($first_day, s.time_from // 86400000000), least($last_day, (s.time_to - 1) // 86400000000)
        )) AS day
    FROM usage_stretches AS s
    WHERE s.time_to > $first_day * 86400000000 AND s.time_from < ($last_day + 1) * 86400000000
),

-- 1970 began on a Thursday
weekdays AS (
    SELECT *, day * 86400000000 AS midnight, (day + 3) % 7 * 1440 AS week_minute
    FROM days
),

cells AS (
    SELECT
        d.name_no, d.day, d.time_from, d.time_to, d.midnight, d.week_minute, d.model_id, d.next_model_id, d.next_since,
        d.confidence, p.prices_no,
        coalesce(p.least_tokens, 0) AS least_tokens, coalesce(p.below_tokens, 9223372036854775807) AS below_tokens,
        greatest(coalesce(p.week_from, 0), d.week_minute) AS week_from,
        least(coalesce(p.week_to, 10080), d.week_minute + 1440) AS week_to
    FROM weekdays AS d
    LEFT JOIN model_prices AS p
        ON p.model_id = d.model_id AND p.valid_from = d.since AND p.week_from < d.week_minute + 1440
        AND p.week_to > d.week_minute
),

pairs AS (
    SELECT
        c.name_no, c.day, c.time_from, c.time_to, c.midnight, c.week_minute, c.model_id, c.confidence, c.prices_no,
        n.prices_no AS next_prices_no,
        greatest(c.least_tokens, coalesce(n.least_tokens, 0)) AS least_tokens,
        least(c.below_tokens, coalesce(n.below_tokens, 9223372036854775807)) AS below_tokens,
        greatest(c.week_from, coalesce(n.week_from, 0)) AS week_from,
        least(c.week_to, coalesce(n.week_to, 10080)) AS week_to
    FROM cells AS c
    LEFT JOIN model_prices AS n
        ON n.model_id = c.next_model_id AND n.valid_from = c.next_since AND n.week_from < c.week_to
        AND n.week_to > c.week_from AND n.least_tokens < c.below_tokens AND n.below_tokens > c.least_tokens
),

clocked AS (
    SELECT
        name_no, day,
        greatest(time_from, midnight + (week_from - week_minute) * 60000000) AS time_from,
        least(time_to, midnight + (week_to - week_minute) * 60000000) AS time_to,
        least_tokens, below_tokens, model_id, prices_no,
        CASE WHEN next_prices_no <> prices_no THEN next_prices_no END AS next_prices_no,
        CASE WHEN next_prices_no = prices_no THEN 'exact' ELSE confidence END AS confidence
    FROM pairs
)

SELECT *
FROM clocked
WHERE time_from < time_to
