/*
meaning: Stretches of time in which a model was listed.
grain: a spell of an affected model
reads: affected_runs
*/
WITH numbered AS (
    SELECT
        *,
        sum(CASE WHEN started_by = 'change' THEN 0 ELSE 1 END) OVER (
            PARTITION BY model_no ORDER BY valid_from ROWS UNBOUNDED PRECEDING
        ) AS spell_no
    FROM affected_runs
)
SELECT
    source,
    model_no,
    CAST(spell_no AS INTEGER) AS spell_no,
    min(valid_from) AS listed_from,
    CASE WHEN bool_or(valid_to IS NULL) THEN NULL ELSE max(valid_to) END AS listed_to,
    CASE WHEN bool_or(valid_to IS NULL) THEN NULL ELSE max(last_seen_at) END AS last_seen_at,
    bool_or(is_left_censored) AS is_left_censored,
    bool_or(text_listed_from IS NOT NULL) FILTER (valid_to IS NULL) AS is_text_listed
FROM numbered
GROUP BY source, model_no, spell_no
