/*
meaning: Stretches in which a provider says the same of itself.
grain: a state of a provider of an affected source
reads: affected_providers, core.provider_states
*/
WITH compared AS (
    SELECT
        p.source, s.slug, p.provider_state_no, p.run_no, p.valid_from, p.valid_to, p.last_seen_at,
        lag(p.run_no) OVER w AS previous_run_no,
        lag(p.provider_state_no) OVER w AS previous_state_no
    FROM affected_providers AS p
    JOIN catalogue.core.provider_states AS s ON s.provider_state_no = p.provider_state_no
    WINDOW w AS (PARTITION BY p.source, s.slug ORDER BY p.run_no)
),

islands AS (
    SELECT
        *,
        sum(CASE WHEN previous_run_no = run_no - 1 AND previous_state_no = provider_state_no THEN 0 ELSE 1 END) OVER (
            PARTITION BY source, slug ORDER BY run_no ROWS UNBOUNDED PRECEDING
        ) AS island
    FROM compared
)

SELECT
    source,
    slug,
    min(provider_state_no) AS provider_state_no,
    min(valid_from) AS valid_from,
    CASE WHEN bool_or(valid_to IS NULL) THEN NULL ELSE max(valid_to) END AS valid_to,
    CASE WHEN bool_or(valid_to IS NULL) THEN NULL ELSE max(last_seen_at) END AS last_seen_at
FROM islands
GROUP BY source, slug, island
