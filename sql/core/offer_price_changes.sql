/*
meaning: Changes of headline prices of offers, and whether each was a flip within an unchanged schedule. The base that a
    schedule leaves for the hours that no window covers is the last value of which a sight lies outside every window.
grain: a change of one headline price of an offer of an affected model
reads: fresh_offer_price_intervals, core.windows, core.window_holds
*/
WITH compared AS (
    SELECT
        *,
        lag(price_status) OVER w AS old_price_status,
        lag(price_text) OVER w AS old_price_text,
        lag(price_usd) OVER w AS old_price_usd,
        lag(last_seen_at) OVER w AS previous_last_seen_at
    FROM fresh_offer_price_intervals
    WINDOW w AS (PARTITION BY source, offer_no, price_kind ORDER BY valid_from)
),

changes AS (
    SELECT
        *,
        CASE
            WHEN old_price_status = 'unlisted' THEN 'listed'
            WHEN price_status = 'unlisted' THEN 'unlisted'
            WHEN price_status = 'unreadable' THEN 'became_unreadable'
            WHEN old_price_status = 'unreadable' THEN 'became_readable'
            WHEN price_status = 'dynamic' THEN 'became_dynamic'
            WHEN old_price_status = 'dynamic' THEN 'became_fixed'
            -- a discount is no price: from nothing to a tenth it does not begin to be paid
            WHEN price_kind = 'discount' AND price_usd > old_price_usd THEN 'increase'
            WHEN price_kind = 'discount' THEN 'decrease'
            WHEN old_price_status = 'free' THEN 'became_paid'
            WHEN price_status = 'free' THEN 'became_free'
            WHEN price_usd > old_price_usd THEN 'increase'
            ELSE 'decrease'
        END AS change_kind
    FROM compared
    WHERE
        old_price_status IS NOT NULL
        AND (old_price_status <> price_status OR old_price_usd IS DISTINCT FROM price_usd)
),

scheduled AS (
    SELECT c.source, c.offer_no, c.price_kind, c.valid_from, c.price_list_no, c.price_usd, c.rules_key
    FROM changes AS c
    WHERE
        c.rules_key = c.previous_rules_key AND c.price_usd IS NOT NULL AND c.old_price_usd IS NOT NULL
        AND EXISTS (
            SELECT 1
            FROM catalogue.core.windows AS w
            WHERE w.price_list_no = c.price_list_no AND w.price_kind = c.price_kind
        )
),

bases AS (
    SELECT s.source, s.offer_no, s.price_kind, s.valid_from, max_by(i.price_usd, i.valid_from) AS price_usd
    FROM scheduled AS s
    JOIN fresh_offer_price_intervals AS i
        ON i.source = s.source AND i.offer_no = s.offer_no AND i.price_kind = s.price_kind
        AND i.valid_from < s.valid_from AND i.rules_key = s.rules_key
    WHERE
        NOT EXISTS (
            SELECT 1
            FROM catalogue.core.windows AS w
            WHERE
                w.price_list_no = i.price_list_no AND w.price_kind = i.price_kind
                AND catalogue.core.window_holds(w.utc_start, w.utc_end, w.utc_days, i.valid_from)
        )
        OR NOT EXISTS (
            SELECT 1
            FROM catalogue.core.windows AS w
            WHERE
                w.price_list_no = i.price_list_no AND w.price_kind = i.price_kind
                AND catalogue.core.window_holds(w.utc_start, w.utc_end, w.utc_days, i.last_seen_at)
        )
    GROUP BY s.source, s.offer_no, s.price_kind, s.valid_from
),

flips AS (
    SELECT s.source, s.offer_no, s.price_kind, s.valid_from
    FROM scheduled AS s
    LEFT JOIN bases AS b
        ON b.source = s.source AND b.offer_no = s.offer_no AND b.price_kind = s.price_kind
        AND b.valid_from = s.valid_from
    WHERE
        b.price_usd = s.price_usd
        OR EXISTS (
            SELECT 1
            FROM catalogue.core.windows AS w
            WHERE w.price_list_no = s.price_list_no AND w.price_kind = s.price_kind AND w.price_usd = s.price_usd
        )
),

followed AS (
    SELECT
        *,
        lead(valid_from) OVER w AS next_changed_at,
        lead(price_status) OVER w AS next_price_status,
        lead(price_usd) OVER w AS next_price_usd
    FROM changes
    WINDOW w AS (PARTITION BY source, offer_no, price_kind ORDER BY valid_from)
)

SELECT
    c.source,
    c.model_no,
    c.offer_no,
    c.price_kind,
    c.valid_from AS changed_at,
    c.previous_last_seen_at AS last_seen_at,
    c.change_kind,
    c.old_price_text,
    c.price_text AS new_price_text,
    c.old_price_usd,
    c.price_usd AS new_price_usd,
    c.rules_key IS DISTINCT FROM c.previous_rules_key AS has_rule_change,
    f.offer_no IS NOT NULL AS is_schedule_flip,
    c.after_absence,
    CASE
        WHEN c.next_price_status = c.old_price_status AND c.next_price_usd IS NOT DISTINCT FROM c.old_price_usd
            THEN c.next_changed_at
    END AS reverted_at
FROM followed AS c
LEFT JOIN flips AS f
    ON f.source = c.source AND f.offer_no = c.offer_no AND f.price_kind = c.price_kind AND f.valid_from = c.valid_from
