/*
meaning: What gateways had for each modality by each provider, over time; groups without a key of their provider (`is_configured` false) are kept.
grain: a stretch in which a group (modality, provider, configuration) has the same models, per source
reads: core.accepted, core.grouped_listings, core.groupings
columns:
  source: The gateway's name.
  modality: The key under which the group stood, such as `text` or `image`.
  provider: The provider, as the gateway names it.
  is_configured: Whether the gateway has what it needs to call the provider; null where it does not say.
  model_count: Models in the group.
  model_ids: Their ids, sorted.
  valid_from: The first snapshot that shows the group so.
  valid_to: The first later snapshot that does not; null while it lasts.
  last_seen_at: The last snapshot that shows it so.
*/
WITH seen AS (
    SELECT
        a.source, a.observed_at, g.grouping_no,
        lag(g.grouping_no) OVER (PARTITION BY a.source ORDER BY a.observed_at) AS previous_no
    FROM catalogue.core.accepted AS a
    JOIN catalogue.core.grouped_listings AS g ON g.capture_no = a.capture_no
),

numbered AS (
    SELECT
        *,
        sum(CASE WHEN grouping_no = previous_no THEN 0 ELSE 1 END) OVER (
            PARTITION BY source ORDER BY observed_at ROWS UNBOUNDED PRECEDING
        ) AS stretch
    FROM seen
),

stretches AS (
    SELECT
        source, stretch, min(grouping_no) AS grouping_no, min(observed_at) AS valid_from,
        max(observed_at) AS last_seen_at,
        lead(min(observed_at)) OVER (PARTITION BY source ORDER BY stretch) AS valid_to
    FROM numbered
    GROUP BY source, stretch
),

groups AS (
    SELECT
        s.*, g.modality, g.provider, g.is_configured, g.model_ids,
        lag(s.stretch) OVER w AS previous_stretch,
        lag(g.model_ids) OVER w AS previous_ids
    FROM stretches AS s
    JOIN catalogue.core.groupings AS g ON g.grouping_no = s.grouping_no
    WINDOW w AS (PARTITION BY s.source, g.modality, g.provider, g.is_configured ORDER BY s.stretch)
),

islands AS (
    SELECT
        *,
        sum(CASE WHEN previous_stretch = stretch - 1 AND model_ids = previous_ids THEN 0 ELSE 1 END) OVER (
            PARTITION BY source, modality, provider, is_configured ORDER BY stretch ROWS UNBOUNDED PRECEDING
        ) AS island
    FROM groups
)

SELECT
    source,
    modality,
    provider,
    is_configured,
    CAST(len(min(model_ids)) AS INTEGER) AS model_count,
    min(model_ids) AS model_ids,
    min(valid_from) AS valid_from,
    CASE WHEN bool_or(valid_to IS NULL) THEN NULL ELSE max(valid_to) END AS valid_to,
    max(last_seen_at) AS last_seen_at
FROM islands
GROUP BY source, modality, provider, is_configured, island
