/*
meaning: Where the feed as last captured and the catalogue as now listed disagree. Models that left the catalogue stay in the feed, which is no disagreement; nor is what the feed holds from before the first snapshot of all modalities, since it announces models of every one.
grain: a disagreement, by model, per source
reads: core.feeds, marts.feed_items, marts.models, marts.model_spells, core.accepted
columns:
  source: Where both were captured.
  model_id: The model's id; as the feed gives it without a variant, else as the catalogue does.
  difference: `not_in_catalogue`: the feed names a model that no snapshot ever listed. `not_in_feed`: a model with text output is no older than the feed's oldest item, and is not in it. `added_at_differs`, `canonical_slug_differs`: they say it differently.
  in_feed: What the feed says: the title, the time or the slug; null if nothing.
  in_catalogue: What the catalogue says: the name, the time or the slug; null if nothing.
  feed_seen_at: When the feed was captured.
*/
WITH last_feeds AS (
    SELECT source, max(observed_at) AS feed_seen_at
    FROM catalogue.core.feeds
    WHERE defect IS NULL
    GROUP BY source
),

items AS (
    SELECT i.*, f.feed_seen_at
    FROM catalogue.marts.feed_items AS i
    JOIN last_feeds AS f ON f.source = i.source AND f.feed_seen_at = i.last_seen_at
),

reach AS (
    SELECT source, feed_seen_at, min(added_at) AS oldest_at
    FROM items
    GROUP BY source, feed_seen_at
),

begins AS (
    SELECT source, min(observed_at) AS began_at
    FROM catalogue.core.accepted
    WHERE lists_every_modality
    GROUP BY source
),

bases AS (
    SELECT DISTINCT source, split_part(model_id, ':', 1) AS base_model_id
    FROM catalogue.marts.model_spells
),

pairs AS (
    SELECT
        i.source,
        m.model_id,
        i.added_at,
        m.created_at,
        i.canonical_slug AS slug_in_feed,
        m.canonical_slug AS slug_in_catalogue,
        i.feed_seen_at
    FROM items AS i
    JOIN catalogue.marts.models AS m
        ON m.source = i.source AND m.base_model_id = i.model_id AND i.title = concat(m.name, ' (', i.model_id, ')')
)

SELECT
    i.source,
    i.model_id,
    'not_in_catalogue' AS difference,
    i.title AS in_feed,
    CAST(NULL AS VARCHAR) AS in_catalogue,
    i.feed_seen_at
FROM items AS i
JOIN begins AS b ON b.source = i.source AND i.added_at >= b.began_at
ANTI JOIN bases ON bases.source = i.source AND bases.base_model_id = i.model_id
UNION ALL
SELECT
    m.source,
    m.model_id,
    'not_in_feed' AS difference,
    CAST(NULL AS VARCHAR) AS in_feed,
    m.name AS in_catalogue,
    r.feed_seen_at
FROM catalogue.marts.models AS m
JOIN reach AS r ON r.source = m.source AND m.created_at >= r.oldest_at AND m.created_at <= r.feed_seen_at
ANTI JOIN items AS i ON i.source = m.source AND i.model_id = m.base_model_id
WHERE list_contains(m.output_modalities, 'text') AND NOT m.is_alias
UNION ALL
SELECT
    source,
    model_id,
    'added_at_differs' AS difference,
    CAST(added_at AS VARCHAR) AS in_feed,
    CAST(created_at AS VARCHAR) AS in_catalogue,
    feed_seen_at
FROM pairs
WHERE added_at <> created_at
UNION ALL
SELECT
    source,
    model_id,
    'canonical_slug_differs' AS difference,
    slug_in_feed AS in_feed,
    slug_in_catalogue AS in_catalogue,
    feed_seen_at
FROM pairs
WHERE slug_in_feed <> slug_in_catalogue
