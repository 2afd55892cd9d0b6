/*
meaning: What the feed of new models ever held.
grain: an item of the feed, by its model and title, per source
reads: core.feeds, core.feed_items
columns:
  source: Where the feed was captured, such as `openrouter`.
  model_id: The model's id as the feed gives it, without a variant.
  canonical_slug: The permanent slug, shared by the variants of one model.
  title: The item's title: the model's name and, in parentheses, its id. Variants of one model differ in it.
  link: The page that the item leads to, as last given.
  added_at: When the feed says that the model was added, as last given.
  first_seen_at: The first capture of the feed that holds it.
  last_seen_at: The last capture of the feed that holds it.
*/
WITH sights AS (
    SELECT f.source, f.capture_no, f.observed_at, i.feed_item_no
    FROM catalogue.core.feeds AS f, unnest(f.items) AS i (feed_item_no)
),

ranked AS (
    SELECT
        s.source,
        i.model_id,
        i.canonical_slug,
        i.title,
        i.link,
        i.added_at,
        min(s.observed_at) OVER item AS first_seen_at,
        max(s.observed_at) OVER item AS last_seen_at,
        row_number() OVER (item ORDER BY s.observed_at DESC, i.link, i.added_at, i.feed_item_no) AS place
    FROM sights AS s
    JOIN catalogue.core.feed_items AS i ON i.feed_item_no = s.feed_item_no
    WINDOW item AS (PARTITION BY s.source, i.model_id, i.canonical_slug, i.title)
)

SELECT
    source,
    model_id,
    canonical_slug,
    title,
    link,
    added_at,
    first_seen_at,
    last_seen_at
FROM ranked
WHERE place = 1
