/*
meaning: What is known of the prices that a name of a usage log pays, over all time.
grain: a stretch of a name; the stretches of a name follow each other without gaps
reads: core.clocks, core.runs, core.verdicts, raw.captures
builds on: usage_models, usage_routes, model_prices
columns:
  name_no: The name's number.
  model_id: The model whose prices are paid.
  since: Where the stretch of its prices begins; null where none is in force.
  next_model_id: In a gap between snapshots: the model whose prices follow.
  next_since: Where the stretch of those begins.
  time_from: The first instant, in microseconds since 1970.
  time_to: The instant after the last one.
  confidence: `exact`, `changed_within_gap`, `after_last_observation`, `before_first_observation` or `not_listed_then`.
*/
WITH asked AS (
    SELECT *
    FROM catalogue.core.clocks(NULL, $known_at)
),

ends AS (
    SELECT CAST(-9223372036854775807 AS BIGINT) AS first_instant, CAST(9223372036854775807 AS BIGINT) AS last_instant
),

routes AS (
    SELECT
        r.name_no, r.model_id, r.next_model_id,
        CASE WHEN isinf(r.valid_from) THEN e.first_instant ELSE epoch_us(r.valid_from) END AS valid_from,
        CASE WHEN isinf(r.last_seen_at) THEN e.last_instant ELSE epoch_us(r.last_seen_at) + 1 END AS agreed_to,
        CASE WHEN isinf(r.valid_to) THEN e.last_instant ELSE epoch_us(r.valid_to) END AS valid_to
    FROM usage_routes AS r
    CROSS JOIN ends AS e
),

prices AS (
    SELECT DISTINCT model_id, valid_from, agreed_to, valid_to
    FROM model_prices
),

paid AS (
    SELECT
        r.name_no, r.model_id, p.valid_from AS since, p.agreed_to, p.valid_to AS next_since,
        r.agreed_to AS route_agreed_to, r.valid_to AS route_to, r.next_model_id,
        greatest(p.valid_from, r.valid_from) AS time_from,
        least(p.valid_to, r.valid_to) AS time_to
    FROM routes AS r
    JOIN prices AS p ON p.model_id = r.model_id AND p.valid_from < r.valid_to AND p.valid_to > r.valid_from
),

agreed AS (
    SELECT
        name_no, model_id, since, CAST(NULL AS VARCHAR) AS next_model_id, CAST(NULL AS BIGINT) AS next_since,
        time_from, least(time_to, agreed_to, route_agreed_to) AS time_to, 'exact' AS confidence
    FROM paid
),

-- after the last snapshot that shows the prices, and before the next one that shows the model
unsure AS (
    SELECT
        p.name_no, p.model_id, p.since, n.model_id AS next_model_id, n.valid_from AS next_since,
        greatest(p.time_from, p.agreed_to) AS time_from, least(p.time_to, p.route_agreed_to) AS time_to,
        CASE WHEN n.model_id IS NULL THEN 'after_last_observation' ELSE 'changed_within_gap' END AS confidence
    FROM paid AS p
    LEFT JOIN prices AS n ON n.model_id = p.model_id AND n.valid_from = p.next_since
),

-- after the last snapshot that shows an alias with this target, and before the next one that shows the alias
turning AS (
    SELECT
        p.name_no, p.model_id, p.since, n.model_id AS next_model_id, n.valid_from AS next_since,
        greatest(p.time_from, p.route_agreed_to) AS time_from, p.time_to,
        CASE WHEN n.model_id IS NULL THEN 'after_last_observation' ELSE 'changed_within_gap' END AS confidence
    FROM paid AS p
    LEFT JOIN prices AS n
        ON n.model_id = p.next_model_id AND n.valid_from <= p.route_to AND n.valid_to > p.route_to
),

known AS (
    SELECT * FROM agreed WHERE time_from < time_to
    UNION ALL
    SELECT * FROM unsure WHERE time_from < time_to
    UNION ALL
    SELECT * FROM turning WHERE time_from < time_to
),

edges AS (
    SELECT name_no, time_from, time_to
    FROM known
    UNION ALL
    SELECT m.name_no, e.last_instant AS time_from, e.last_instant AS time_to
    FROM usage_models AS m
    CROSS JOIN ends AS e
),

gaps AS (
    SELECT name_no, gap_from, time_from AS gap_to
    FROM (
        SELECT
            d.name_no, d.time_from,
            coalesce(lag(d.time_to) OVER (PARTITION BY d.name_no ORDER BY d.time_from), e.first_instant) AS gap_from
        FROM edges AS d
        CROSS JOIN ends AS e
    ) AS sides
    WHERE gap_from < time_from
),

snapshots AS (
    SELECT epoch_us(c.observed_at) AS observed_at, c.lists_every_modality
    FROM catalogue.core.verdicts AS v
    JOIN asked AS q ON v.known_from <= q.known_at AND (v.known_to IS NULL OR v.known_to > q.known_at)
    JOIN catalogue.raw.captures AS c ON c.capture_no = v.capture_no
    WHERE v.verdict = 'accepted' AND c.scope_kind = 'catalogue' AND c.source = $source
),

texts AS (
    SELECT u.name_no, bool_or(r.text_listed_from IS NOT NULL) AS is_listed_as_text
    FROM usage_models AS u
    JOIN catalogue.core.runs AS r ON r.model_no = u.model_no AND r.source = $source
    JOIN asked AS q ON r.known_from <= q.known_at AND (r.known_to IS NULL OR r.known_to > q.known_at)
    GROUP BY u.name_no
),

-- within a gap the snapshots that would have listed the model lack it
lacking AS (
    SELECT
        g.name_no, g.gap_from, g.gap_to,
        min(s.observed_at) AS lacks_from,
        CASE WHEN g.gap_to = max(e.last_instant) THEN g.gap_to ELSE max(s.observed_at) + 1 END AS lacks_to
    FROM gaps AS g
    JOIN texts AS t ON t.name_no = g.name_no
    CROSS JOIN ends AS e
    LEFT JOIN snapshots AS s
        ON s.observed_at >= g.gap_from AND s.observed_at < g.gap_to AND (s.lists_every_modality OR t.is_listed_as_text)
    GROUP BY g.name_no, g.gap_from, g.gap_to
),

unlisted AS (
    SELECT
        name_no, gap_from AS time_from, coalesce(lacks_from, gap_to) AS time_to,
        'before_first_observation' AS confidence
    FROM lacking
    UNION ALL
    SELECT name_no, lacks_from AS time_from, lacks_to AS time_to, 'not_listed_then' AS confidence
    FROM lacking
    WHERE lacks_from IS NOT NULL
    UNION ALL
    SELECT name_no, lacks_to AS time_from, gap_to AS time_to, 'before_first_observation' AS confidence
    FROM lacking
    WHERE lacks_from IS NOT NULL
)

SELECT * FROM known
UNION ALL
SELECT
    g.name_no, m.model_id, CAST(NULL AS BIGINT) AS since, CAST(NULL AS VARCHAR) AS next_model_id,
    CAST(NULL AS BIGINT) AS next_since, g.time_from, g.time_to, g.confidence
FROM unlisted AS g
JOIN usage_models AS m ON m.name_no = g.name_no
WHERE g.time_from < g.time_to
