/*
meaning: The headline prices in force now.
grain: a price in force now: model and price kind, per source
reads: core.price_intervals, core.model_ids
columns:
  source: Where it was listed, such as `openrouter`.
  model_id: The model's id, such as `author/name` or `author/name:free`.
  price_kind: What is paid for, such as `prompt` or `completion`.
  unit: What one of it is: token, audio token, image token, image, request, search, fraction, unknown.
  price_text: The price as the source wrote it; the first spelling of the interval.
  price_usd: US dollars per unit, exact; null if dynamic or unreadable.
  price_status: `listed`, `free` (zero), `dynamic` (-1: depends on the request), `unreadable`.
  valid_from: The first snapshot that shows it.
*/
SELECT
    i.source,
    m.model_id,
    i.price_kind,
    i.unit,
    i.price_text,
    i.price_usd,
    i.price_status,
    i.valid_from
FROM catalogue.core.price_intervals AS i
JOIN catalogue.core.model_ids AS m ON m.model_no = i.model_no
WHERE i.known_to IS NULL AND i.valid_to IS NULL AND i.price_status <> 'unlisted'
