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

seen AS (
    SELECT r.model_no, s.observed_at, v.price_list_no
    FROM affected_runs AS r
    JOIN catalogue.core.versions AS v ON v.version_no = r.version_no
    JOIN catalogue.core.accepted AS s
        ON s.source = r.source AND s.observed_at >= r.valid_from
        AND (s.lists_every_modality OR s.observed_at >= r.text_listed_from)
        AND (r.valid_to IS NULL OR s.observed_at <= r.last_seen_at)
    WHERE r.model_no IN (SELECT model_no FROM asked)
),

outside AS (
    SELECT a.model_no, a.price_kind, a.changed_at, a.price_list_no, s.observed_at, s.price_list_no AS seen_price_list_no
    FROM asked AS a
    JOIN seen AS s ON s.model_no = a.model_no AND s.observed_at < a.seen_before
    WHERE NOT EXISTS (
        SELECT 1
        FROM catalogue.core.windows AS w
        WHERE
            w.price_list_no = s.price_list_no AND w.price_kind = a.price_kind
            AND catalogue.core.window_holds(w.utc_start, w.utc_end, w.utc_days, s.observed_at)
    )
),

base AS (
    SELECT model_no, price_kind, changed_at, price_list_no, max_by(seen_price_list_no, observed_at) AS seen_price_list_no
    FROM outside
    GROUP BY model_no, price_kind, changed_at, price_list_no
)

SELECT
    b.model_no,
    b.price_kind,
    b.changed_at,
    b.price_list_no,
    p.price_text,
    p.price_usd,
    coalesce(p.price_status, 'unlisted') AS price_status
FROM base AS b
LEFT JOIN catalogue.core.prices AS p ON p.price_list_no = b.seen_price_list_no AND p.price_kind = b.price_kind
