/*
meaning: Stretches of time in which an offer was made.
grain: a spell of an offer of an affected model
reads: affected_offers
*/
WITH compared AS (
    SELECT *, lag(run_no) OVER (PARTITION BY source, offer_no ORDER BY run_no) AS previous_run_no
    FROM affected_offers
),

numbered AS (
    SELECT
        *,
        sum(CASE WHEN previous_run_no = run_no - 1 THEN 0 ELSE 1 END) OVER (
            PARTITION BY source, offer_no ORDER BY run_no ROWS UNBOUNDED PRECEDING
        ) AS spell_no
    FROM compared
)

SELECT
    source,
    model_no,
    offer_no,
    CAST(spell_no AS INTEGER) AS spell_no,
    min(valid_from) AS offered_from,
    CASE WHEN bool_or(valid_to IS NULL) THEN NULL ELSE max(valid_to) END AS offered_to,
    CASE WHEN bool_or(valid_to IS NULL) THEN NULL ELSE max(last_seen_at) END AS last_seen_at,
    bool_or(is_first) AS is_left_censored
FROM numbered
GROUP BY source, model_no, offer_no, spell_no
