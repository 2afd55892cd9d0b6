/*
meaning: Whose prices a name of a usage log pays over time: an alias pays its target's, any other model its own.
grain: a stretch in which a name stands for one model
reads: core.clocks, core.state_intervals, core.states, core.model_ids
builds on: usage_models
columns:
  name_no: The name's number.
  model_id: The model whose prices are paid.
  valid_from: The first instant.
  last_seen_at: The last snapshot that shows this target; infinity where no other follows.
  valid_to: The instant after the last one.
  next_model_id: The target that follows; null if none does.
*/
WITH asked AS (
    SELECT *
    FROM catalogue.core.clocks(NULL, $known_at)
),

aliases AS (
    SELECT
        u.name_no, i.valid_from, i.valid_to, i.last_seen_at, coalesce(m.model_id, u.model_id) AS model_id
    FROM usage_models AS u
    JOIN catalogue.core.state_intervals AS i ON i.model_no = u.model_no AND i.source = $source
    JOIN asked AS q ON i.known_from <= q.known_at AND (i.known_to IS NULL OR i.known_to > q.known_at)
    JOIN catalogue.core.states AS s ON s.state_no = i.state_no
    LEFT JOIN catalogue.core.model_ids AS m ON m.model_id = s.alias_target
    WHERE s.is_alias
),

compared AS (
    SELECT
        *,
        CASE
            WHEN model_id = lag(model_id) OVER w AND valid_from = lag(valid_to) OVER w THEN 0 ELSE 1
        END AS begins
    FROM aliases
    WINDOW w AS (PARTITION BY name_no ORDER BY valid_from)
),

islands AS (
    SELECT *, sum(begins) OVER (PARTITION BY name_no ORDER BY valid_from ROWS UNBOUNDED PRECEDING) AS island
    FROM compared
),

targets AS (
    SELECT
        name_no, model_id, min(valid_from) AS valid_from,
        max(coalesce(last_seen_at, TIMESTAMPTZ 'infinity')) AS last_seen_at,
        max(coalesce(valid_to, TIMESTAMPTZ 'infinity')) AS valid_to
    FROM islands
    GROUP BY name_no, model_id, island
),

followed AS (
    SELECT
        t.*,
        CASE WHEN lead(t.valid_from) OVER w = t.valid_to THEN lead(t.model_id) OVER w END AS next_model_id
    FROM targets AS t
    WINDOW w AS (PARTITION BY t.name_no ORDER BY t.valid_from)
)

SELECT name_no, model_id, valid_from, last_seen_at, valid_to, next_model_id
FROM followed
UNION ALL
SELECT
    name_no, model_id, TIMESTAMPTZ '-infinity' AS valid_from, TIMESTAMPTZ 'infinity' AS last_seen_at,
    TIMESTAMPTZ 'infinity' AS valid_to, NULL AS next_model_id
FROM usage_models
WHERE name_no NOT IN (SELECT name_no FROM aliases)
