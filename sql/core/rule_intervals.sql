/*
meaning: Stretches in which one rule gives one price under conditions that stay the same.
grain: a rule's price interval of an affected model
reads: affected_runs, core.versions, core.price_rules
*/
WITH runs AS (
    SELECT
        r.source, r.model_no, r.valid_from, r.valid_to, r.last_seen_at, r.started_by, v.price_list_no,
        row_number() OVER (ORDER BY r.model_no, r.valid_from) AS run_no
    FROM affected_runs AS r
    JOIN catalogue.core.versions AS v ON v.version_no = r.version_no
),

told AS (
    SELECT
        r.*, p.rule_no, p.min_prompt_tokens, p.utc_start, p.utc_end, p.utc_days, p.unknown_conditions, p.price_kind,
        p.unit, p.price_text, p.price_usd, p.price_status,
        concat_ws(
            '|',
            coalesce(CAST(p.min_prompt_tokens AS VARCHAR), '-'),
            coalesce(CAST(p.utc_start AS VARCHAR), '-'),
            coalesce(CAST(p.utc_end AS VARCHAR), '-'),
            CASE WHEN len(p.utc_days) > 0 THEN CAST(list_sort(p.utc_days) AS VARCHAR) ELSE '-' END,
            coalesce(CAST(p.unknown_conditions AS VARCHAR), '-'),
            p.price_status,
            CASE WHEN p.price_status = 'unreadable' THEN p.price_text ELSE coalesce(CAST(p.price_usd AS VARCHAR), '-') END
        ) AS meaning
    FROM runs AS r
    JOIN catalogue.core.price_rules AS p ON p.price_list_no = r.price_list_no
),

islands AS (
    SELECT
        *,
        sum(CASE WHEN goes_on THEN 0 ELSE 1 END) OVER (
            ORDER BY model_no, rule_no, price_kind, valid_from ROWS UNBOUNDED PRECEDING
        ) AS island
    FROM (
        SELECT
            *,
            coalesce(
                started_by = 'change' AND model_no = lag(model_no) OVER w AND rule_no = lag(rule_no) OVER w
                AND price_kind = lag(price_kind) OVER w AND run_no = lag(run_no) OVER w + 1
                AND meaning = lag(meaning) OVER w,
                FALSE
            ) AS goes_on
        FROM told
        -- a window without partitions: parts of few rows each cost twice as much
        WINDOW w AS (ORDER BY model_no, rule_no, price_kind, valid_from)
    )
)

SELECT
    source,
    model_no,
    rule_no,
    max(CASE WHEN NOT goes_on THEN min_prompt_tokens END) AS min_prompt_tokens,
    max(CASE WHEN NOT goes_on THEN utc_start END) AS utc_start,
    max(CASE WHEN NOT goes_on THEN utc_end END) AS utc_end,
    max(CASE WHEN NOT goes_on THEN utc_days END) AS utc_days,
    max(CASE WHEN NOT goes_on THEN unknown_conditions END) AS unknown_conditions,
    price_kind,
    max_by(unit, valid_from) AS unit,
    max(CASE WHEN NOT goes_on THEN price_text END) AS price_text,
    max(CASE WHEN NOT goes_on THEN price_usd END) AS price_usd,
    max(CASE WHEN NOT goes_on THEN price_status END) AS price_status,
    min(valid_from) AS valid_from,
    CASE WHEN bool_or(valid_to IS NULL) THEN NULL ELSE max(valid_to) END AS valid_to,
    CASE WHEN bool_or(valid_to IS NULL) THEN NULL ELSE max(last_seen_at) END AS last_seen_at
FROM islands
GROUP BY source, model_no, rule_no, price_kind, island
