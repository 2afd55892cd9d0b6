/*
meaning: The headline prices in force at an instant, as they were known at another.
grain: a price in force: model and price kind, per source
reads: core.clocks, core.listed_at, core.price_intervals, core.model_ids
macro: valid_at, known_at := NULL
columns:
  source: Where it was listed, such as `openrouter`.
  model_id: The model's id, such as `author/name` or `author/name:free`.
  price_kind: What is paid for, such as `prompt` or `completion`.
  unit: What one of it is: token, audio token, image token, image, request, search, fraction, unknown.
  price_text: The price as the source wrote it; the first spelling of the interval.
  price_usd: US dollars per unit, exact; null if dynamic or unreadable.
  price_status: `listed`, `free` (zero), `dynamic` (-1: depends on the request), `unreadable`.
  valid_from: The first snapshot that shows it.
  valid_to: The first snapshot that no longer shows it; null while it lasts.
  last_seen_at: The latest snapshot at or before the instant that lists the model.
  next_seen_at: The first snapshot after the instant that lists the model; null if there is none.
*/
WITH asked AS (
    SELECT *
    FROM catalogue.core.clocks(valid_at, known_at)
)

SELECT
    i.source,
    m.model_id,
    i.price_kind,
    i.unit,
    i.price_text,
    i.price_usd,
    i.price_status,
    i.valid_from,
    i.valid_to,
    l.last_seen_at,
    l.next_seen_at
FROM catalogue.core.price_intervals AS i
JOIN asked AS q ON i.known_from <= q.known_at AND (i.known_to IS NULL OR i.known_to > q.known_at)
JOIN catalogue.core.listed_at(valid_at, known_at) AS l ON l.source = i.source AND l.model_no = i.model_no
JOIN catalogue.core.model_ids AS m ON m.model_no = i.model_no
WHERE i.price_status <> 'unlisted' AND i.valid_from <= q.valid_at AND (i.valid_to IS NULL OR i.valid_to > q.valid_at)
