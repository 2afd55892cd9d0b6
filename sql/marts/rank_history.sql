/*
meaning: The places of models in rankings: facets whose order says something, such as `category=programming` (by usage) or `sort=top-weekly`.
grain: a stretch in which a model has one place in a ranking
reads: core.facet_intervals, core.model_ids
columns:
  source: Where the ranking was captured, such as `openrouter`.
  facet: What was asked for, such as `category=programming`.
  model_id: The id under which the ranking lists the model.
  rank: Its place, from 1.
  valid_from: The first snapshot in this stretch that has it there.
  valid_to: The first later one that does not; null while it lasts.
  last_seen_at: The last one that has it there; null while it lasts.
  previous_rank: Its place in the snapshot before valid_from; null where that lacks it or there is none.
  movement: Places gained since then: 3 is three places up, -2 two places down; null without a previous rank.
  week_before_rank: Its place seven days before valid_from, by the last snapshot until then; null where that lacks it or there is none.
  week_movement: Places gained since then.
*/
WITH moments AS (
    SELECT
        source, facet, model_no, rank, valid_from, valid_to, last_seen_at,
        valid_from AS moment, TRUE AS asks, CAST(NULL AS INTEGER) AS told_rank, CAST(NULL AS TIMESTAMPTZ) AS told_until
    FROM catalogue.core.facet_intervals
    WHERE known_to IS NULL AND rank IS NOT NULL
    UNION ALL
    -- what holds at one moment is a week later what held a week before; in hours, for a day has 23 where clocks are changed
    SELECT
        source, facet, model_no, NULL, NULL, NULL, NULL,
        valid_from + INTERVAL '168' HOUR, FALSE, rank, coalesce(valid_to, TIMESTAMPTZ '9999-01-01 00:00:00+00') + INTERVAL '168' HOUR
    FROM catalogue.core.facet_intervals
    WHERE known_to IS NULL AND rank IS NOT NULL
),

told AS (
    SELECT
        *,
        last_value(told_rank IGNORE NULLS) OVER w AS held_rank,
        last_value(told_until IGNORE NULLS) OVER w AS held_until
    FROM moments
    WINDOW w AS (
        PARTITION BY source, facet, model_no ORDER BY moment, asks ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    )
),

placed AS (
    SELECT
        t.*,
        CASE WHEN t.held_until > t.valid_from THEN t.held_rank END AS week_before_rank,
        CASE
            WHEN lag(t.valid_to) OVER (PARTITION BY t.source, t.facet, t.model_no ORDER BY t.valid_from) = t.valid_from
                THEN lag(t.rank) OVER (PARTITION BY t.source, t.facet, t.model_no ORDER BY t.valid_from)
        END AS previous_rank
    FROM told AS t
    WHERE t.asks
)

SELECT
    p.source,
    p.facet,
    m.model_id,
    p.rank,
    p.valid_from,
    p.valid_to,
    p.last_seen_at,
    p.previous_rank,
    p.previous_rank - p.rank AS movement,
    p.week_before_rank,
    p.week_before_rank - p.rank AS week_movement
FROM placed AS p
JOIN catalogue.core.model_ids AS m ON m.model_no = p.model_no
