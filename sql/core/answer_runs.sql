/*
meaning: Stretches in which every answer to one question gives one list.
grain: a run of a question whose history changes, from the last answer before the change on
reads: altered_answers, former_answer_runs, core.accepted_answers
*/
WITH sights AS (
    SELECT a.source, a.topic, a.model_no, a.observed_at, a.list_no
    FROM catalogue.core.accepted_answers AS a
    JOIN altered_answers AS t ON t.source = a.source AND t.topic = a.topic AND t.model_no = a.model_no
    WHERE a.observed_at >= coalesce(t.anchor, t.since)
),

compared AS (
    SELECT *, lag(list_no) OVER (PARTITION BY source, topic, model_no ORDER BY observed_at) AS previous_list_no
    FROM sights
),

islands AS (
    SELECT
        *,
        sum(CASE WHEN list_no = previous_list_no THEN 0 ELSE 1 END) OVER (
            PARTITION BY source, topic, model_no ORDER BY observed_at ROWS UNBOUNDED PRECEDING
        ) AS island
    FROM compared
),

told AS (
    SELECT
        source, topic, model_no, island, min(list_no) AS list_no, min(observed_at) AS valid_from,
        max(observed_at) AS last_seen_at
    FROM islands
    GROUP BY source, topic, model_no, island
),

followed AS (
    SELECT *, lead(valid_from) OVER (PARTITION BY source, topic, model_no ORDER BY valid_from) AS valid_to
    FROM told
)

-- the run to which the last answer before the change belongs began earlier
SELECT
    r.source,
    r.topic,
    r.model_no,
    r.list_no,
    coalesce(f.valid_from, r.valid_from) AS valid_from,
    r.valid_to,
    CASE WHEN r.valid_to IS NOT NULL THEN r.last_seen_at END AS last_seen_at,
    r.island = 1 AND (t.anchor IS NULL OR f.is_first) AS is_first
FROM followed AS r
JOIN altered_answers AS t ON t.source = r.source AND t.topic = r.topic AND t.model_no = r.model_no
LEFT JOIN former_answer_runs AS f
    ON f.source = r.source AND f.topic = r.topic AND f.model_no = r.model_no AND r.island = 1
    AND f.valid_from <= t.anchor AND (f.valid_to IS NULL OR f.valid_to > t.anchor)
