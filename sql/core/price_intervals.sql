/*
meaning: Stretches in which one headline price has one value; `unlisted` where the kind was absent.
grain: a price interval of an affected model
reads: affected_runs, core.versions, core.price_lists, core.prices
*/
WITH placed AS (
    SELECT
        r.source, r.model_no, r.valid_from, r.valid_to, r.last_seen_at, r.started_by, v.price_list_no,
        coalesce(
            r.started_by = 'change'
            AND r.model_no = lag(r.model_no) OVER w
            AND v.price_list_no = lag(v.price_list_no) OVER w,
            FALSE
        ) AS goes_on
    FROM affected_runs AS r
    JOIN catalogue.core.versions AS v ON v.version_no = r.version_no
    -- windows without partitions, here and below: parts of few rows each cost twice as much
    WINDOW w AS (ORDER BY r.model_no, r.valid_from)
),

-- most runs begin with another attribute and the same price list
stretches AS (
    SELECT
        source, model_no, price_list_no,
        min(valid_from) AS valid_from,
        CASE WHEN bool_or(valid_to IS NULL) THEN NULL ELSE max(valid_to) END AS valid_to,
        CASE WHEN bool_or(valid_to IS NULL) THEN NULL ELSE max(last_seen_at) END AS last_seen_at,
        max(CASE WHEN NOT goes_on THEN started_by END) AS started_by
    FROM (
        SELECT
            *,
            sum(CASE WHEN goes_on THEN 0 ELSE 1 END) OVER (
                ORDER BY model_no, valid_from ROWS UNBOUNDED PRECEDING
            ) AS stretch
        FROM placed
    )
    GROUP BY source, model_no, price_list_no, stretch
),

lists AS (
    SELECT
        s.*, l.rules_key,
        CASE WHEN s.model_no = lag(s.model_no) OVER w THEN lag(l.rules_key) OVER w END AS previous_rules_key
    FROM stretches AS s
    JOIN catalogue.core.price_lists AS l ON l.price_list_no = s.price_list_no
    WINDOW w AS (ORDER BY s.model_no, s.valid_from)
),

kinds AS (
    SELECT DISTINCT l.model_no, p.price_kind
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
    JOIN kinds AS k ON k.model_no = l.model_no
    LEFT JOIN catalogue.core.prices AS p ON p.price_list_no = l.price_list_no AND p.price_kind = k.price_kind
),

compared AS (
    SELECT
        *,
        coalesce(
            started_by = 'change'
            AND model_no = lag(model_no) OVER w
            AND price_kind = lag(price_kind) OVER w
            AND price_status = lag(price_status) OVER w
            AND price_usd IS NOT DISTINCT FROM lag(price_usd) OVER w
            AND (price_status <> 'unreadable' OR price_text = lag(price_text) OVER w),
            FALSE
        ) AS goes_on
    FROM observed
    WINDOW w AS (ORDER BY model_no, price_kind, valid_from)
),

islands AS (
    SELECT
        *,
        sum(CASE WHEN goes_on THEN 0 ELSE 1 END) OVER (
            ORDER BY model_no, price_kind, valid_from ROWS UNBOUNDED PRECEDING
        ) AS island
    FROM compared
)

SELECT
    source,
    model_no,
    price_kind,
    -- whether an image price is per token shows beside the prompt price, which may change meanwhile
    max_by(unit, valid_from) AS unit,
    max(CASE WHEN NOT goes_on THEN price_text END) AS price_text,
    max(CASE WHEN NOT goes_on THEN price_usd END) AS price_usd,
    max(CASE WHEN NOT goes_on THEN price_status END) AS price_status,
    min(valid_from) AS valid_from,
    CASE WHEN bool_or(valid_to IS NULL) THEN NULL ELSE max(valid_to) END AS valid_to,
    CASE WHEN bool_or(valid_to IS NULL) THEN NULL ELSE max(last_seen_at) END AS last_seen_at,
    bool_or(started_by = 'return') AS after_absence,
    max(CASE WHEN NOT goes_on THEN rules_key END) AS rules_key,
    max(CASE WHEN NOT goes_on THEN previous_rules_key END) AS previous_rules_key,
    max(CASE WHEN NOT goes_on THEN price_list_no END) AS price_list_no
FROM islands
GROUP BY source, model_no, price_kind, island
