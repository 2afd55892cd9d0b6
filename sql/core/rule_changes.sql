/*
meaning: Where a model's rules say something else than in the snapshot before that lists it.
grain: a change of an affected model's rules
reads: affected_runs, core.versions, core.price_lists
*/
SELECT
    source,
    model_no,
    valid_from AS changed_at,
    previous_last_seen_at AS last_seen_at,
    previous_price_list_no AS old_price_list_no,
    price_list_no AS new_price_list_no,
    started_by = 'return' AS after_absence
FROM (
    SELECT
        r.source, r.model_no, r.valid_from, r.started_by, v.price_list_no, l.rules_key,
        lag(v.price_list_no) OVER w AS previous_price_list_no,
        lag(l.rules_key) OVER w AS previous_rules_key,
        lag(r.last_seen_at) OVER w AS previous_last_seen_at
    FROM affected_runs AS r
    JOIN catalogue.core.versions AS v ON v.version_no = r.version_no
    JOIN catalogue.core.price_lists AS l ON l.price_list_no = v.price_list_no
    -- a model's first run is no change; a window without partitions, for parts of few rows each cost twice as much
    WINDOW w AS (ORDER BY r.model_no, r.valid_from)
) AS told
WHERE started_by <> 'first' AND rules_key IS DISTINCT FROM previous_rules_key
