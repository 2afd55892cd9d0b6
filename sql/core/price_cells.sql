/*
meaning: Requests that a price list treats alike: a range of prompt tokens and a stretch of the week, within which no rule begins or ends to hold.
grain: a cell of a price list; a list without rules has one
reads: core.price_lists, core.price_rules
columns:
  price_list_no: The price list's number within this file.
  min_prompt_tokens: The least prompt tokens.
  below_prompt_tokens: One more than the most prompt tokens; null: any number.
  week_from: The first minute of the week, in UTC from Monday 00:00.
  week_to: The minute after the last one.
*/
WITH rules AS (
    SELECT DISTINCT price_list_no, min_prompt_tokens, utc_start, utc_end, utc_days
    FROM catalogue.core.price_rules
    WHERE unknown_conditions IS NULL
),

sizes AS (
    SELECT price_list_no, CAST(0 AS BIGINT) AS least
    FROM catalogue.core.price_lists
    UNION
    SELECT price_list_no, min_prompt_tokens + 1 AS least
    FROM rules
    WHERE min_prompt_tokens >= 0 AND min_prompt_tokens < 9223372036854775807
),

tiers AS (
    SELECT
        price_list_no,
        least AS min_prompt_tokens,
        lead(least) OVER (PARTITION BY price_list_no ORDER BY least) AS below_prompt_tokens
    FROM sizes
),

timed AS (
    SELECT DISTINCT price_list_no, coalesce(utc_start, 0) AS utc_start, coalesce(utc_end, 2400) AS utc_end
    FROM rules
    WHERE utc_start IS NOT NULL OR utc_end IS NOT NULL OR len(utc_days) > 0
),

clock_times AS (
    SELECT price_list_no, utc_start AS hhmm
    FROM timed
    UNION
    SELECT price_list_no, utc_end AS hhmm
    FROM timed
    UNION
    SELECT price_list_no, 0 AS hhmm
    FROM timed
),

days AS (
    SELECT day_no
    FROM (VALUES (0), (1), (2), (3), (4), (5), (6)) AS week(day_no)
),

-- a clock that shows 1275 at no minute shows more than that from 13:00 on
minutes AS (
    SELECT DISTINCT t.price_list_no, d.day_no * 1440 + t.minute_of_day AS minute
    FROM (
        SELECT price_list_no, CAST(floor(hhmm / 100) AS INTEGER) * 60 + least(hhmm % 100, 60) AS minute_of_day
        FROM clock_times
    ) AS t
    CROSS JOIN days AS d
    WHERE t.minute_of_day < 1440
    UNION
    SELECT price_list_no, 0 AS minute
    FROM catalogue.core.price_lists
),

bands AS (
    SELECT
        price_list_no,
        CAST(minute AS INTEGER) AS week_from,
        CAST(coalesce(lead(minute) OVER (PARTITION BY price_list_no ORDER BY minute), 10080) AS INTEGER) AS week_to
    FROM minutes
)

SELECT t.price_list_no, t.min_prompt_tokens, t.below_prompt_tokens, b.week_from, b.week_to
FROM tiers AS t
JOIN bands AS b ON b.price_list_no = t.price_list_no
