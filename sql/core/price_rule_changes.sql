/*
meaning: What requests pay before and after a change of rules, compared over the minutes of a week. A tier holds the
    requests that no threshold parts; a segment is a stretch of the week in which no window opens or closes.
grain: a change of an affected model's rules, a price kind and a tier of prompt tokens
reads: fresh_rule_changes, fresh_schedule_bases, core.prices, core.price_rules, core.windows, core.window_holds
*/
WITH sides AS (
    SELECT model_no, changed_at, 'old' AS side, old_price_list_no AS price_list_no
    FROM fresh_rule_changes
    UNION ALL
    SELECT model_no, changed_at, 'new' AS side, new_price_list_no AS price_list_no
    FROM fresh_rule_changes
),

rules AS (
    SELECT s.model_no, s.changed_at, s.side, r.*
    FROM sides AS s
    JOIN catalogue.core.price_rules AS r ON r.price_list_no = s.price_list_no
    WHERE r.unknown_conditions IS NULL
),

headlines AS (
    SELECT s.model_no, s.changed_at, s.side, p.price_kind, p.price_text, p.price_usd, p.price_status
    FROM sides AS s
    JOIN catalogue.core.prices AS p ON p.price_list_no = s.price_list_no
),

-- the base where a schedule names the kind: null where it was never captured outside every window
bases AS (
    SELECT
        k.model_no, k.changed_at, k.side, k.price_kind,
        CASE WHEN w.price_kind IS NULL THEN coalesce(h.price_status, 'unlisted') ELSE b.price_status END AS price_status,
        CASE WHEN w.price_kind IS NULL THEN h.price_usd ELSE b.price_usd END AS price_usd,
        CASE WHEN w.price_kind IS NULL THEN h.price_text ELSE b.price_text END AS price_text
    FROM (
        SELECT DISTINCT s.model_no, s.changed_at, s.side, s.price_list_no, named.price_kind
        FROM sides AS s
        JOIN (
            SELECT model_no, changed_at, price_kind FROM rules
            UNION
            SELECT model_no, changed_at, price_kind FROM headlines
        ) AS named ON named.model_no = s.model_no AND named.changed_at = s.changed_at
    ) AS k
    LEFT JOIN (SELECT DISTINCT price_list_no, price_kind FROM catalogue.core.windows) AS w
        ON w.price_list_no = k.price_list_no AND w.price_kind = k.price_kind
    LEFT JOIN headlines AS h
        ON h.model_no = k.model_no AND h.changed_at = k.changed_at AND h.side = k.side AND h.price_kind = k.price_kind
    LEFT JOIN fresh_schedule_bases AS b
        ON b.model_no = k.model_no AND b.changed_at = k.changed_at AND b.price_list_no = k.price_list_no
        AND b.price_kind = k.price_kind
),

thresholds AS (
    SELECT DISTINCT model_no, changed_at, price_kind, min_prompt_tokens
    FROM rules
    -- no request has more tokens than the greatest number
    WHERE min_prompt_tokens BETWEEN 0 AND 9223372036854775806
),

-- prompt_tokens stands for all requests of the tier
tiers AS (
    SELECT model_no, changed_at, price_kind, min_prompt_tokens, min_prompt_tokens + 1 AS prompt_tokens
    FROM thresholds
    UNION ALL
    SELECT
        k.model_no, k.changed_at, k.price_kind, CAST(NULL AS BIGINT) AS min_prompt_tokens,
        CAST(0 AS BIGINT) AS prompt_tokens
    FROM (SELECT DISTINCT model_no, changed_at, price_kind FROM bases) AS k
),

-- minutes of the day at which a window opens or closes: the first at which the clock shows that number or a later one
edges AS (
    SELECT DISTINCT model_no, changed_at, price_kind, edge // 100 * 60 + least(edge % 100, 60) AS minute_of_day
    FROM (
        SELECT model_no, changed_at, price_kind, unnest([0, utc_start, utc_end]) AS edge
        FROM rules
        UNION ALL
        SELECT model_no, changed_at, price_kind, 0 AS edge
        FROM bases
    ) AS clocks
    WHERE edge IS NOT NULL
),

segments AS (
    SELECT
        model_no, changed_at, price_kind, day_no, minute_of_day,
        lead(minute_of_day, 1, 1440) OVER (
            PARTITION BY model_no, changed_at, price_kind, day_no ORDER BY minute_of_day
        ) - minute_of_day AS minutes,
        -- a Monday and the six days after it
        TIMESTAMPTZ '2024-01-01 00:00:00+00' + to_minutes(day_no * 1440 + minute_of_day) AS moment
    FROM edges
    CROSS JOIN (SELECT unnest([0, 1, 2, 3, 4, 5, 6]) AS day_no) AS days
    WHERE minute_of_day < 1440
),

winners AS (
    SELECT
        r.model_no, r.changed_at, r.side, r.price_kind, t.prompt_tokens, s.moment, max(r.rule_no) AS rule_no
    FROM rules AS r
    JOIN tiers AS t ON t.model_no = r.model_no AND t.changed_at = r.changed_at AND t.price_kind = r.price_kind
    JOIN segments AS s ON s.model_no = r.model_no AND s.changed_at = r.changed_at AND s.price_kind = r.price_kind
    WHERE
        (r.min_prompt_tokens IS NULL OR t.prompt_tokens > r.min_prompt_tokens)
        AND catalogue.core.window_holds(r.utc_start, r.utc_end, r.utc_days, s.moment)
    GROUP BY r.model_no, r.changed_at, r.side, r.price_kind, t.prompt_tokens, s.moment
),

paid AS (
    SELECT
        b.model_no, b.changed_at, b.side, b.price_kind, t.min_prompt_tokens, s.moment, s.minutes,
        CASE WHEN w.rule_no IS NULL THEN b.price_status ELSE r.price_status END AS price_status,
        CASE WHEN w.rule_no IS NULL THEN b.price_usd ELSE r.price_usd END AS price_usd,
        CASE WHEN w.rule_no IS NULL THEN b.price_text ELSE r.price_text END AS price_text
    FROM bases AS b
    JOIN tiers AS t ON t.model_no = b.model_no AND t.changed_at = b.changed_at AND t.price_kind = b.price_kind
    JOIN segments AS s ON s.model_no = b.model_no AND s.changed_at = b.changed_at AND s.price_kind = b.price_kind
    LEFT JOIN winners AS w
        ON w.model_no = b.model_no AND w.changed_at = b.changed_at AND w.side = b.side AND w.price_kind = b.price_kind
        AND w.prompt_tokens = t.prompt_tokens AND w.moment = s.moment
    LEFT JOIN rules AS r
        ON r.model_no = w.model_no AND r.changed_at = w.changed_at AND r.side = w.side AND r.price_kind = w.price_kind
        AND r.rule_no = w.rule_no
),

compared AS (
    SELECT
        o.model_no, o.changed_at, o.price_kind, o.min_prompt_tokens, o.moment, o.minutes,
        o.price_usd AS old_usd, n.price_usd AS new_usd,
        o.price_status IS NULL OR n.price_status IS NULL AS is_unknown,
        coalesce(
            o.price_status <> n.price_status OR o.price_usd IS DISTINCT FROM n.price_usd
            OR (o.price_status = 'unreadable' AND o.price_text <> n.price_text),
            FALSE
        ) AS is_changed
    FROM paid AS o
    JOIN paid AS n
        ON n.model_no = o.model_no AND n.changed_at = o.changed_at AND n.price_kind = o.price_kind
        AND n.min_prompt_tokens IS NOT DISTINCT FROM o.min_prompt_tokens AND n.moment = o.moment
    WHERE o.side = 'old' AND n.side = 'new'
),

weeks AS (
    SELECT
        model_no, changed_at, price_kind, min_prompt_tokens,
        min(old_usd) AS old_low_usd,
        max(old_usd) AS old_high_usd,
        min(new_usd) AS new_low_usd,
        max(new_usd) AS new_high_usd,
        CAST(sum(CASE WHEN is_changed AND NOT is_unknown THEN minutes ELSE 0 END) AS INTEGER) AS changed_minutes,
        CAST(sum(CASE WHEN is_unknown THEN minutes ELSE 0 END) AS INTEGER) AS unknown_minutes,
        bool_or(is_changed AND old_usd IS NOT NULL AND new_usd IS NOT NULL) AS is_repricing,
        -- a mean of prices over the clock has no exact decimal; added in one order it has one value
        CASE
            WHEN bool_and(old_usd IS NOT NULL AND new_usd IS NOT NULL)
                THEN
                    sum(CAST(new_usd AS DOUBLE) * minutes ORDER BY moment)
                    / nullif(sum(CAST(old_usd AS DOUBLE) * minutes ORDER BY moment), 0) - 1
        END AS week_ratio
    FROM compared
    GROUP BY model_no, changed_at, price_kind, min_prompt_tokens
)

SELECT
    c.source, c.model_no, w.price_kind, w.min_prompt_tokens, c.changed_at, c.last_seen_at, w.old_low_usd, w.old_high_usd,
    w.new_low_usd, w.new_high_usd, w.changed_minutes, w.unknown_minutes, w.week_ratio, w.is_repricing, c.after_absence
FROM weeks AS w
JOIN fresh_rule_changes AS c ON c.model_no = w.model_no AND c.changed_at = w.changed_at
LEFT JOIN (SELECT DISTINCT model_no, changed_at, price_kind FROM rules) AS r
    ON r.model_no = w.model_no AND r.changed_at = w.changed_at AND r.price_kind = w.price_kind
WHERE r.price_kind IS NOT NULL OR w.changed_minutes > 0
