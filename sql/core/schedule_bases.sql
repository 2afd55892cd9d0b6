/*
meaning: For each scheduled price that moved: when its model was seen outside every window, and at what price. The last
    such price before a change is the base that the schedule leaves for the hours that no window covers.
grain: a change of an affected model's price under a schedule that stayed the same, which gives it none of its values
reads: affected_runs, fresh_price_intervals, core.versions, core.prices, core.price_rules, core.accepted
*/
WITH windows AS (
    SELECT
        price_list_no, price_kind, utc_start, utc_end, utc_days, price_usd
    FROM catalogue.core.price_rules
    WHERE
        (utc_start IS NOT NULL OR utc_end IS NOT NULL OR utc_days IS NOT NULL)
        AND min_prompt_tokens IS NULL AND unknown_conditions IS NULL
),

moved AS (
    SELECT i.source, i.model_no, i.price_kind, i.valid_from, i.price_list_no, i.price_usd
    FROM fresh_price_intervals AS i
    WHERE
        i.rules_key = i.previous_rules_key AND i.price_usd IS NOT NULL
        AND EXISTS (
            SELECT 1 FROM windows AS w WHERE w.price_list_no = i.price_list_no AND w.price_kind = i.price_kind
        )
        AND NOT EXISTS (
            SELECT 1
            FROM windows AS w
            WHERE w.price_list_no = i.price_list_no AND w.price_kind = i.price_kind AND w.price_usd = i.price_usd
        )
),

seen AS (
    SELECT
        r.model_no, s.observed_at, v.price_list_no,
        extract('hour' FROM s.observed_at) * 100 + extract('minute' FROM s.observed_at) AS hhmm,
        lower(dayname(s.observed_at)) AS weekday
    FROM affected_runs AS r
    JOIN catalogue.core.versions AS v ON v.version_no = r.version_no
    JOIN catalogue.core.accepted AS s
        ON s.source = r.source AND s.observed_at >= r.valid_from
        AND (s.lists_every_modality OR s.observed_at >= r.text_listed_from)
        AND (r.valid_to IS NULL OR s.observed_at <= r.last_seen_at)
    WHERE r.model_no IN (SELECT model_no FROM moved)
),

outside AS (
    SELECT m.model_no, m.price_kind, m.valid_from, s.observed_at, s.price_list_no
    FROM moved AS m
    JOIN seen AS s ON s.model_no = m.model_no AND s.observed_at < m.valid_from
    WHERE NOT EXISTS (
        -- neither the windows of the schedule then in force nor those of the one in force at the change hold
        SELECT 1
        FROM windows AS w
        WHERE
            w.price_list_no IN (s.price_list_no, m.price_list_no) AND w.price_kind = m.price_kind
            AND (w.utc_days IS NULL OR len(w.utc_days) = 0 OR list_contains(w.utc_days, s.weekday))
            AND CASE
                WHEN w.utc_start IS NULL AND w.utc_end IS NULL THEN TRUE
                WHEN coalesce(w.utc_start, 0) <= coalesce(w.utc_end, 2400)
                    THEN s.hhmm >= coalesce(w.utc_start, 0) AND s.hhmm < coalesce(w.utc_end, 2400)
                ELSE s.hhmm >= w.utc_start OR s.hhmm < w.utc_end
            END
    )
),

base AS (
    SELECT model_no, price_kind, valid_from, max_by(price_list_no, observed_at) AS price_list_no
    FROM outside
    GROUP BY model_no, price_kind, valid_from
)

SELECT m.source, m.model_no, m.price_kind, m.valid_from, p.price_usd = m.price_usd AS is_back_at_base
FROM moved AS m
JOIN base AS b ON b.model_no = m.model_no AND b.price_kind = m.price_kind AND b.valid_from = m.valid_from
JOIN catalogue.core.prices AS p ON p.price_list_no = b.price_list_no AND p.price_kind = m.price_kind
