/*
meaning: Stretches in which one headline price of an offer has one value; `unlisted` where the kind was absent.
grain: a price interval of an offer of an affected model
reads: affected_offers, core.price_lists, core.prices
*/
WITH lists AS (
    SELECT
        o.*,
        l.rules_key,
        lag(o.run_no) OVER w AS previous_run_no,
        lag(l.rules_key) OVER w AS previous_rules_key
    FROM affected_offers AS o
    JOIN catalogue.core.price_lists AS l ON l.price_list_no = o.price_list_no
    WINDOW w AS (PARTITION BY o.source, o.offer_no ORDER BY o.run_no)
),

kinds AS (
    SELECT DISTINCT l.source, l.offer_no, p.price_kind
    FROM lists AS l
    JOIN catalogue.core.prices AS p ON p.price_list_no = l.price_list_no
),

observed AS (
    SELECT
        l.*,
        k.price_kind,
        p.unit,
        p.price_text,
        p.price_usd,
        coalesce(p.price_status, 'unlisted') AS price_status
    FROM lists AS l
    JOIN kinds AS k ON k.source = l.source AND k.offer_no = l.offer_no
    LEFT JOIN catalogue.core.prices AS p ON p.price_list_no = l.price_list_no AND p.price_kind = k.price_kind
),

compared AS (
    SELECT
        *,
        coalesce(
            previous_run_no = run_no - 1
            AND price_status = lag(price_status) OVER w
            AND price_usd IS NOT DISTINCT FROM lag(price_usd) OVER w
            AND (price_status <> 'unreadable' OR price_text = lag(price_text) OVER w),
            FALSE
        ) AS goes_on
    FROM observed
    WINDOW w AS (PARTITION BY source, offer_no, price_kind ORDER BY run_no)
),

islands AS (
    SELECT
        *,
        sum(CASE WHEN goes_on THEN 0 ELSE 1 END) OVER (
            PARTITION BY source, offer_no, price_kind ORDER BY run_no ROWS UNBOUNDED PRECEDING
        ) AS island
    FROM compared
)

SELECT
    source,
    model_no,
    offer_no,
    price_kind,
    max_by(unit, valid_from) AS unit,
    max(CASE WHEN NOT goes_on THEN price_text END) AS price_text,
    max(CASE WHEN NOT goes_on THEN price_usd END) AS price_usd,
    max(CASE WHEN NOT goes_on THEN price_status END) AS price_status,
    min(valid_from) AS valid_from,
    CASE WHEN bool_or(valid_to IS NULL) THEN NULL ELSE max(valid_to) END AS valid_to,
    CASE WHEN bool_or(valid_to IS NULL) THEN NULL ELSE max(last_seen_at) END AS last_seen_at,
    coalesce(bool_or(NOT goes_on AND previous_run_no < run_no - 1), FALSE) AS after_absence,
    max(CASE WHEN NOT goes_on THEN rules_key END) AS rules_key,
    max(CASE WHEN NOT goes_on THEN previous_rules_key END) AS previous_rules_key,
    max(CASE WHEN NOT goes_on THEN price_list_no END) AS price_list_no
FROM islands
GROUP BY source, model_no, offer_no, price_kind, island
