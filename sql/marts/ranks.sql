/*
meaning: The places of models in rankings now, and how they moved.
grain: a model in the last snapshot of a ranking
reads: core.facet_intervals, core.facet_snapshots, core.model_ids
columns:
  source: Where the ranking was captured, such as `openrouter`.
  facet: What was asked for, such as `category=programming`.
  rank: The place, from 1.
  model_id: The id under which the ranking lists the model.
  previous_rank: Its place in the snapshot before; null where that lacks it or there is none.
  movement: Places gained since then: 3 is three places up, -2 two places down; null without a previous rank.
  week_before_rank: Its place seven days before the last snapshot, by the last one until then; null where that lacks it or there is none.
  week_movement: Places gained since then.
  valid_from: Since when it has this place.
  observed_at: The last snapshot of the ranking.
*/
WITH snapshots AS (
    SELECT
        source, facet, observed_at,
        lag(observed_at) OVER (PARTITION BY source, facet ORDER BY observed_at) AS previous_at,
        row_number() OVER (PARTITION BY source, facet ORDER BY observed_at DESC) AS age
    FROM catalogue.core.facet_snapshots
    WHERE is_ranking
),

held AS (
    SELECT
        i.source, i.facet, i.model_no, e.observed_at,
        max(CASE WHEN i.valid_to IS NULL THEN i.rank END) AS rank,
        max(CASE WHEN i.valid_to IS NULL THEN i.valid_from END) AS valid_from,
        max(CASE
            WHEN i.valid_from <= e.previous_at AND (i.valid_to IS NULL OR i.valid_to > e.previous_at) THEN i.rank
        END) AS previous_rank,
        max(CASE
            WHEN
                -- in hours, for a day has 23 where clocks are changed
                i.valid_from <= e.observed_at - INTERVAL '168' HOUR
                AND (i.valid_to IS NULL OR i.valid_to > e.observed_at - INTERVAL '168' HOUR)
                THEN i.rank
        END) AS week_before_rank
    FROM catalogue.core.facet_intervals AS i
    JOIN snapshots AS e ON e.source = i.source AND e.facet = i.facet
    WHERE i.known_to IS NULL AND i.rank IS NOT NULL AND e.age = 1
    GROUP BY i.source, i.facet, i.model_no, e.observed_at
)

SELECT
    h.source,
    h.facet,
    h.rank,
    m.model_id,
    h.previous_rank,
    h.previous_rank - h.rank AS movement,
    h.week_before_rank,
    h.week_before_rank - h.rank AS week_movement,
    h.valid_from,
    h.observed_at
FROM held AS h
JOIN catalogue.core.model_ids AS m ON m.model_no = h.model_no
WHERE h.rank IS NOT NULL
