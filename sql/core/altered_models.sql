/*
meaning: Models of which a commit altered runs, and what may follow otherwise from the new ones. Most often one open run
    was replaced by a chain of runs that begins where it began and is open too: the model goes on, and is another only
    where the chain holds several meanings or price lists. What a late snapshot shows outside a schedule's windows
    bears on later changes of prices, even where no run changes.
grain: a model of the altered source
reads: altered_source, commit_time, core.runs, core.versions, core.states, core.price_rules, core.coverage
*/
WITH concerned_runs AS (
    SELECT
        r.model_no, r.valid_from, r.valid_to, r.started_by, r.ended_by, r.is_left_censored,
        r.valid_to IS NULL AND r.text_listed_from IS NOT NULL AS is_text_listed, v.price_list_no, s.meaning_key, r.is_new
    FROM (
        SELECT r.*, TRUE AS is_new
        FROM catalogue.core.runs AS r
        JOIN commit_time AS t ON r.known_from = t.recorded_at
        UNION ALL
        SELECT r.*, FALSE AS is_new
        FROM catalogue.core.runs AS r
        JOIN commit_time AS t ON r.known_to = t.recorded_at
    ) AS r
    JOIN altered_source AS a ON a.source = r.source
    JOIN catalogue.core.versions AS v ON v.version_no = r.version_no
    JOIN catalogue.core.states AS s ON s.state_no = v.state_no
),

compared AS (
    SELECT
        model_no,
        count(CASE WHEN NOT is_new THEN 1 END) = 1
        AND bool_and(is_new OR valid_to IS NULL)
        AND count(CASE WHEN is_new AND valid_to IS NULL THEN 1 END) = 1
        AND count(CASE WHEN is_new AND ended_by = 'absence' THEN 1 END) = 0
        AND min(CASE WHEN is_new THEN valid_from END) = min(CASE WHEN NOT is_new THEN valid_from END)
        AND min_by(started_by, valid_from) FILTER (is_new) = min(CASE WHEN NOT is_new THEN started_by END)
        AND bool_or(is_new AND is_left_censored) = bool_or(NOT is_new AND is_left_censored) AS goes_on,
        bool_or(is_new AND is_text_listed) = bool_or(NOT is_new AND is_text_listed) AS is_listed_alike,
        min(meaning_key) = max(meaning_key) AS has_one_meaning,
        min(price_list_no) = max(price_list_no) AS has_one_price_list
    FROM concerned_runs
    GROUP BY model_no
),

under_a_clock AS (
    SELECT DISTINCT r.model_no
    FROM catalogue.core.price_rules AS p
    JOIN catalogue.core.versions AS v ON v.price_list_no = p.price_list_no
    JOIN catalogue.core.runs AS r ON r.version_no = v.version_no
    JOIN altered_source AS a ON a.source = r.source
    JOIN catalogue.core.coverage AS c ON c.source = a.source AND c.known_to IS NULL AND c.last_at > a.since
    WHERE
        r.known_to IS NULL AND (r.valid_to IS NULL OR r.valid_to > a.since)
        AND (p.utc_start IS NOT NULL OR p.utc_end IS NOT NULL OR p.utc_days IS NOT NULL)
),

with_rules AS (
    SELECT DISTINCT v.model_no
    FROM catalogue.core.price_rules AS p
    JOIN catalogue.core.versions AS v ON v.price_list_no = p.price_list_no
)

SELECT
    coalesce(c.model_no, u.model_no) AS model_no,
    coalesce(NOT c.goes_on OR NOT c.is_listed_alike, FALSE) AS has_other_spells,
    coalesce(NOT c.goes_on OR NOT c.has_one_meaning, FALSE) AS has_other_states,
    u.model_no IS NOT NULL OR NOT c.goes_on OR NOT c.has_one_price_list AS has_other_prices,
    w.model_no IS NOT NULL AS has_rules
FROM compared AS c
FULL JOIN under_a_clock AS u ON u.model_no = c.model_no
LEFT JOIN with_rules AS w ON w.model_no = coalesce(c.model_no, u.model_no)
