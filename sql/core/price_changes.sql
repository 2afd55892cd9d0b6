/*
meaning: Changes of headline prices, and whether each was a flip within an unchanged schedule.
grain: a change of one headline price of an affected model
reads: fresh_price_intervals, fresh_schedule_bases, core.windows
*/
WITH compared AS (
    SELECT
        *,
        -- a window without partitions, here and below: parts of few rows each cost twice as much
        model_no = lag(model_no) OVER w AND price_kind = lag(price_kind) OVER w AS has_old,
        lag(price_status) OVER w AS old_price_status,
        lag(price_text) OVER w AS old_price_text,
        lag(price_usd) OVER w AS old_price_usd,
        lag(last_seen_at) OVER w AS previous_last_seen_at
    FROM fresh_price_intervals
    WINDOW w AS (ORDER BY model_no, price_kind, valid_from)
),

changes AS (
    SELECT
        c.*,
        CASE
            WHEN c.old_price_status = 'unlisted' THEN 'listed'
            WHEN c.price_status = 'unlisted' THEN 'unlisted'
            WHEN c.price_status = 'unreadable' THEN 'became_unreadable'
            WHEN c.old_price_status = 'unreadable' THEN 'became_readable'
            WHEN c.price_status = 'dynamic' THEN 'became_dynamic'
            WHEN c.old_price_status = 'dynamic' THEN 'became_fixed'
            WHEN c.old_price_status = 'free' THEN 'became_paid'
            WHEN c.price_status = 'free' THEN 'became_free'
            WHEN c.price_usd > c.old_price_usd THEN 'increase'
            ELSE 'decrease'
        END AS change_kind
    FROM compared AS c
    WHERE
        c.has_old
        AND (c.old_price_status <> c.price_status OR c.old_price_usd IS DISTINCT FROM c.price_usd)
),

judged AS (
    SELECT
        c.*,
        c.rules_key IS DISTINCT FROM c.previous_rules_key AS has_rule_change,
        c.rules_key = c.previous_rules_key AND c.price_usd IS NOT NULL AND c.old_price_usd IS NOT NULL AND (
            EXISTS (
                SELECT 1
                FROM catalogue.core.windows AS w
                WHERE
                    w.price_list_no = c.price_list_no AND w.price_kind = c.price_kind AND w.price_usd = c.price_usd
            )
            OR EXISTS (
                SELECT 1
                FROM fresh_schedule_bases AS b
                WHERE
                    b.model_no = c.model_no AND b.price_kind = c.price_kind AND b.changed_at = c.valid_from
                    AND b.price_list_no = c.price_list_no AND b.price_usd = c.price_usd
            )
        ) AS is_schedule_flip,
        c.model_no = lead(c.model_no) OVER w AND c.price_kind = lead(c.price_kind) OVER w AS has_next,
        lead(c.valid_from) OVER w AS next_changed_at,
        lead(c.price_status) OVER w AS next_price_status,
        lead(c.price_usd) OVER w AS next_price_usd
    FROM changes AS c
    WINDOW w AS (ORDER BY c.model_no, c.price_kind, c.valid_from)
)

SELECT
    source,
    model_no,
    price_kind,
    valid_from AS changed_at,
    previous_last_seen_at AS last_seen_at,
    change_kind,
    old_price_text,
    price_text AS new_price_text,
    old_price_usd,
    price_usd AS new_price_usd,
    has_rule_change,
    coalesce(is_schedule_flip, FALSE) AS is_schedule_flip,
    after_absence,
    CASE
        WHEN has_next AND next_price_status = old_price_status AND next_price_usd IS NOT DISTINCT FROM old_price_usd
            THEN next_changed_at
    END AS reverted_at
FROM judged
