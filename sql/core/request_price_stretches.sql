/*
meaning: Stretches in which every sight of a model shows one price list and one base for each scheduled price, as they were known at an instant.
grain: a stretch of a model, per source
reads: core.clocks, core.runs, core.versions, core.verdicts, raw.captures, core.windows, core.window_holds
macro: known_at := NULL
columns:
  source: Where it was listed.
  model_no: The model's number within this file.
  price_list_no: The price list that is shown.
  bases_key: Of each scheduled price the price list that shows its base; empty without a schedule.
  valid_from: The first sight.
  last_seen_at: The last sight.
  valid_to: The first snapshot that covers the model and shows another price list, another base, or no model; null while it lasts.
*/
WITH asked AS (
    SELECT *
    FROM catalogue.core.clocks(NULL, known_at)
),

-- two snapshots of one instant are one sight
snapshots AS (
    SELECT c.source, c.observed_at, bool_or(c.lists_every_modality) AS lists_every_modality
    FROM catalogue.core.verdicts AS v
    JOIN asked AS q ON v.known_from <= q.known_at AND (v.known_to IS NULL OR v.known_to > q.known_at)
    JOIN catalogue.raw.captures AS c ON c.capture_no = v.capture_no
    WHERE v.verdict = 'accepted' AND c.scope_kind = 'catalogue'
    GROUP BY c.source, c.observed_at
),

coverage AS (
    SELECT
        source,
        max(observed_at) AS last_at,
        max(CASE WHEN lists_every_modality THEN observed_at END) AS last_all_at
    FROM snapshots
    GROUP BY source
),

runs AS (
    SELECT
        r.source, r.model_no, v.price_list_no, r.valid_from, r.valid_to, r.text_listed_from,
        CASE
            WHEN r.valid_to IS NOT NULL THEN r.last_seen_at
            WHEN c.last_at >= r.text_listed_from THEN c.last_at
            ELSE greatest(r.valid_from, c.last_all_at)
        END AS last_seen_at
    FROM catalogue.core.runs AS r
    JOIN asked AS q ON r.known_from <= q.known_at AND (r.known_to IS NULL OR r.known_to > q.known_at)
    JOIN catalogue.core.versions AS v ON v.version_no = r.version_no
    JOIN coverage AS c ON c.source = r.source
),

scheduled AS (
    SELECT DISTINCT r.source, r.model_no, w.price_kind
    FROM runs AS r
    JOIN catalogue.core.windows AS w ON w.price_list_no = r.price_list_no
),

-- told apart before anything is joined to snapshots: few models have a schedule
marked AS (
    SELECT r.*, d.model_no IS NOT NULL AS has_schedule
    FROM runs AS r
    LEFT JOIN (SELECT DISTINCT source, model_no FROM scheduled) AS d
        ON d.source = r.source AND d.model_no = r.model_no
),

sights AS (
    SELECT r.source, r.model_no, r.price_list_no, r.valid_from AS run_from, r.valid_to AS run_to, s.observed_at
    FROM marked AS r
    JOIN snapshots AS s
        ON s.source = r.source AND s.observed_at >= r.valid_from AND s.observed_at <= r.last_seen_at
        AND (s.lists_every_modality OR s.observed_at >= r.text_listed_from)
    WHERE r.has_schedule
),

shown AS (
    SELECT
        s.source, s.model_no, s.price_list_no, s.observed_at, d.price_kind,
        EXISTS (
            SELECT 1
            FROM catalogue.core.windows AS w
            WHERE w.price_list_no = s.price_list_no AND w.price_kind = d.price_kind
        ) AS is_scheduled,
        CASE
            WHEN NOT EXISTS (
                SELECT 1
                FROM catalogue.core.windows AS w
                WHERE
                    w.price_list_no = s.price_list_no AND w.price_kind = d.price_kind
                    AND catalogue.core.window_holds(w.utc_start, w.utc_end, w.utc_days, s.observed_at)
            ) THEN s.observed_at
        END AS outside_at
    FROM sights AS s
    JOIN scheduled AS d ON d.source = s.source AND d.model_no = s.model_no
),

reaching AS (
    SELECT
        *,
        max(outside_at) OVER (
            PARTITION BY source, model_no, price_kind ORDER BY observed_at ROWS UNBOUNDED PRECEDING
        ) AS base_seen_at
    FROM shown
),

based AS (
    SELECT
        r.source, r.model_no, r.observed_at,
        string_agg(
            r.price_kind || '=' || coalesce(CAST(b.price_list_no AS VARCHAR), ''), ',' ORDER BY r.price_kind
        ) AS bases_key
    FROM reaching AS r
    LEFT JOIN sights AS b ON b.source = r.source AND b.model_no = r.model_no AND b.observed_at = r.base_seen_at
    WHERE r.is_scheduled
    GROUP BY r.source, r.model_no, r.observed_at
),

keyed AS (
    SELECT
        s.*,
        coalesce(b.bases_key, '') AS bases_key,
        lag(coalesce(b.bases_key, '')) OVER (
            PARTITION BY s.source, s.model_no, s.run_from ORDER BY s.observed_at
        ) AS previous_key
    FROM sights AS s
    LEFT JOIN based AS b ON b.source = s.source AND b.model_no = s.model_no AND b.observed_at = s.observed_at
),

islands AS (
    SELECT
        *,
        sum(CASE WHEN bases_key = previous_key THEN 0 ELSE 1 END) OVER (
            PARTITION BY source, model_no, run_from ORDER BY observed_at ROWS UNBOUNDED PRECEDING
        ) AS island
    FROM keyed
),

stretches AS (
    SELECT
        source, model_no, price_list_no, bases_key, run_to, run_from,
        min(observed_at) AS valid_from,
        max(observed_at) AS last_seen_at
    FROM islands
    GROUP BY source, model_no, price_list_no, bases_key, run_from, run_to, island
)

SELECT
    source, model_no, price_list_no, bases_key, valid_from, last_seen_at,
    coalesce(lead(valid_from) OVER (PARTITION BY source, model_no, run_from ORDER BY valid_from), run_to) AS valid_to
FROM stretches
UNION ALL
SELECT source, model_no, price_list_no, '' AS bases_key, valid_from, last_seen_at, valid_to
FROM marked
WHERE NOT has_schedule
