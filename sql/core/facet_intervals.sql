/*
meaning: Stretches in which every snapshot of a facet has a model, and of a ranking in one place.
grain: a stretch of a model, and of each of its ranks, in a facet whose history changes, from the last snapshot before the change on
reads: affected_facets, altered_facets, former_facet_intervals
*/
WITH numbered AS (
    SELECT
        *,
        place - row_number() OVER (PARTITION BY source, facet, model_no, rank ORDER BY place) AS island
    FROM affected_facets
),

told AS (
    SELECT
        source, facet, model_no, rank,
        min(place) AS first_place,
        min(observed_at) AS valid_from,
        CASE WHEN bool_or(next_at IS NULL) THEN NULL ELSE max(next_at) END AS valid_to,
        max(observed_at) AS last_seen_at
    FROM numbered
    GROUP BY source, facet, model_no, rank, island
)

-- the stretch to which the last snapshot before the change belongs began earlier
SELECT
    r.source,
    r.facet,
    r.model_no,
    r.rank,
    coalesce(f.valid_from, r.valid_from) AS valid_from,
    r.valid_to,
    CASE WHEN r.valid_to IS NOT NULL THEN r.last_seen_at END AS last_seen_at,
    r.first_place = 1 AND (t.anchor IS NULL OR coalesce(f.is_left_censored, FALSE)) AS is_left_censored
FROM told AS r
JOIN altered_facets AS t ON t.source = r.source AND t.facet = r.facet
LEFT JOIN former_facet_intervals AS f
    ON f.source = r.source AND f.facet = r.facet AND f.model_no = r.model_no AND f.rank IS NOT DISTINCT FROM r.rank
    AND r.first_place = 1
    AND f.valid_from <= t.anchor AND (f.valid_to IS NULL OR f.valid_to > t.anchor)
