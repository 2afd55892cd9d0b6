/*
meaning: When models came into facets and went out of them. The first snapshot of a facet makes nobody join.
grain: a model that joins, leaves or rejoins a facet
reads: core.facet_intervals, core.facet_snapshots, core.model_ids
columns:
  source: Where the facet was captured, such as `openrouter`.
  facet: What was asked for, such as `zdr=true`.
  model_id: The id under which the facet lists the model.
  happened_at: The snapshot of the facet that shows it; it happened after last_seen_at.
  last_seen_at: The snapshot of the facet before that one.
  event: `joined`, `left`, or `rejoined` after having left.
*/
WITH spells AS (
    SELECT
        s.*,
        m.model_id,
        row_number() OVER (PARTITION BY s.source, s.facet, s.model_no ORDER BY s.valid_from) AS spell_no
    FROM catalogue.core.facet_intervals AS s
    JOIN catalogue.core.model_ids AS m ON m.model_no = s.model_no
    WHERE s.known_to IS NULL AND s.rank IS NULL
),

snapshots AS (
    SELECT
        source, facet, observed_at,
        lag(observed_at) OVER (PARTITION BY source, facet ORDER BY observed_at) AS previous_at
    FROM catalogue.core.facet_snapshots
)

SELECT
    s.source,
    s.facet,
    s.model_id,
    s.valid_from AS happened_at,
    e.previous_at AS last_seen_at,
    CASE WHEN s.spell_no = 1 THEN 'joined' ELSE 'rejoined' END AS event
FROM spells AS s
JOIN snapshots AS e ON e.source = s.source AND e.facet = s.facet AND e.observed_at = s.valid_from
WHERE NOT s.is_left_censored
UNION ALL
SELECT
    source,
    facet,
    model_id,
    valid_to AS happened_at,
    last_seen_at,
    'left' AS event
FROM spells
WHERE valid_to IS NOT NULL
