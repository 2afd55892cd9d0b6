/*
meaning: The base that a schedule leaves for the hours that no window covers: the last headline that was captured
    outside every window of the rules then in force.
grain: a scheduled price of an affected model that moved to a value that its unchanged schedule does not give it, or
    whose rules changed; the base before the change under the old rules and after it under the new ones
reads: affected_runs, fresh_price_intervals, fresh_rule_changes, core.windows, core.window_holds,
    core.versions, core.prices, core.accepted
*/
WITH moved AS (
    SELECT i.source, i.model_no, i.price_kind, i.valid_from AS changed_at, i.price_list_no, i.valid_from AS seen_before
    FROM fresh_price_intervals AS i
    WHERE
        i.rules_key = i.previous_rules_key AND i.price_usd IS NOT NULL
        AND EXISTS (
            SELECT 1
            FROM catalogue.core.windows AS w
            WHERE w.price_list_no = i.price_list_no AND w.price_kind = i.price_kind
        )
        AND NOT EXISTS (
            SELECT 1
            FROM catalogue.core.windows AS w
            WHERE w.price_list_no = i.price_list_no AND w.price_kind = i.price_kind AND w.price_usd = i.price_usd
        )
),

asked AS (
    SELECT source, model_no, price_kind, changed_at, price_list_no, seen_before
    FROM moved
    UNION
    SELECT c.source, c.model_no, w.price_kind, c.changed_at, w.price_list_no, c.changed_at AS seen_before
    FROM fresh_rule_changes AS c
    JOIN catalogue.core.windows AS w ON w.price_list_no = c.old_price_list_no
    UNION
    -- what the change itself shows is already under the new rules
    SELECT
        c.source, c.model_no, w.price_kind, c.changed_at, w.price_list_no,
        c.changed_at + INTERVAL '1' MICROSECOND AS seen_before
    FROM fresh_rule_changes AS c
    JOIN catalogue.core.windows AS w ON w.price_list_no = c.new_price_list_no
),

-- two snapshots of one instant are one sight
sights AS (
    SELECT DISTINCT r.model_no, k.price_kind, s.observed_at, v.price_list_no
    FROM affected_runs AS r
    JOIN (SELECT DISTINCT model_no, price_kind FROM asked) AS k ON k.model_no = r.model_no
    JOIN catalogue.core.versions AS v ON v.version_no = r.version_no
    JOIN catalogue.core.accepted AS s
        ON s.source = r.source AND s.observed_at >= r.valid_from
        AND (s.lists_every_modality OR s.observed_at >= r.text_listed_from)
        AND (r.valid_to IS NULL OR s.observed_at <= r.last_seen_at)
),

outside AS (
    SELECT s.model_no, s.price_kind, s.observed_at, s.price_list_no
    FROM sights AS s
    WHERE NOT EXISTS (
        SELECT 1
        FROM catalogue.core.windows AS w
        WHERE
            w.price_list_no = s.price_list_no AND w.price_kind = s.price_kind
            AND catalogue.core.window_holds(w.utc_start, w.utc_end, w.utc_days, s.observed_at)
    )
),

-- questions and sights in one order of time, so that each question finds the last sight before it
answered AS (
    SELECT
        model_no, price_kind, changed_at, price_list_no,
        max(observed_at) OVER (
            PARTITION BY model_no, price_kind ORDER BY moment, is_sight ROWS UNBOUNDED PRECEDING
        ) AS observed_at
    FROM (
        SELECT
            model_no, price_kind, changed_at, price_list_no, CAST(NULL AS TIMESTAMPTZ) AS observed_at,
            seen_before AS moment, 0 AS is_sight
        FROM asked
        UNION ALL
        SELECT
            model_no, price_kind, NULL AS changed_at, NULL AS price_list_no, observed_at, observed_at AS moment,
            1 AS is_sight
        FROM outside
    ) AS told
)

SELECT
    a.model_no,
    a.price_kind,
    a.changed_at,
    a.price_list_no,
    p.price_text,
    p.price_usd,
    coalesce(p.price_status, 'unlisted') AS price_status
FROM answered AS a
JOIN outside AS o ON o.model_no = a.model_no AND o.price_kind = a.price_kind AND o.observed_at = a.observed_at
LEFT JOIN catalogue.core.prices AS p ON p.price_list_no = o.price_list_no AND p.price_kind = a.price_kind
WHERE a.changed_at IS NOT NULL
