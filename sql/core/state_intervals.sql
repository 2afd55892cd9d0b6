/*
meaning: Stretches in which a model's attributes mean the same.
grain: a state of an affected model
reads: affected_runs, core.versions, core.states
*/
WITH states AS (
    SELECT
        r.source, r.model_no, r.valid_from, r.valid_to, r.last_seen_at, r.started_by, v.state_no, s.meaning_key,
        -- a window without partitions: parts of few rows each cost twice as much
        coalesce(r.model_no = lag(r.model_no) OVER w, FALSE) AS has_previous,
        lag(s.meaning_key) OVER w AS previous_meaning_key,
        lag(v.state_no) OVER w AS previous_state_no,
        lag(r.last_seen_at) OVER w AS previous_last_seen_at
    FROM affected_runs AS r
    JOIN catalogue.core.versions AS v ON v.version_no = r.version_no
    JOIN catalogue.core.states AS s ON s.state_no = v.state_no
    WINDOW w AS (ORDER BY r.model_no, r.valid_from)
),

compared AS (
    SELECT *, has_previous AND started_by = 'change' AND meaning_key = previous_meaning_key AS goes_on
    FROM states
),

islands AS (
    SELECT
        *,
        sum(CASE WHEN goes_on THEN 0 ELSE 1 END) OVER (
            ORDER BY model_no, valid_from ROWS UNBOUNDED PRECEDING
        ) AS island
    FROM compared
)

SELECT
    source,
    model_no,
    max(CASE WHEN NOT goes_on THEN state_no END) AS state_no,
    min(valid_from) AS valid_from,
    CASE WHEN bool_or(valid_to IS NULL) THEN NULL ELSE max(valid_to) END AS valid_to,
    CASE WHEN bool_or(valid_to IS NULL) THEN NULL ELSE max(last_seen_at) END AS last_seen_at,
    bool_or(started_by = 'return') AS after_absence,
    -- of another meaning only: a model that returns unchanged has no change to tell
    max(
        CASE WHEN NOT goes_on AND has_previous AND meaning_key <> previous_meaning_key THEN previous_state_no END
    ) AS previous_state_no,
    max(CASE WHEN NOT goes_on AND has_previous THEN previous_last_seen_at END) AS previous_last_seen_at
FROM islands
GROUP BY source, model_no, island
