/*
meaning: The headline prices of offers over time. A kind that was not listed has no row for that time.
grain: a price interval: offer and price kind, per source
reads: core.offer_price_intervals, core.offer_ids, core.model_ids, core.last_answers, core.gone_models
columns:
  source: Where it was offered, such as `openrouter`.
  model_id: The model's id, such as `author/name` or `author/name:free`.
  tag: What tells a provider's offers of a model apart, such as `novita/fp8`: provider, tier, region.
  twin_no: 1; where a model has several offers under one tag, their rank by price, the cheapest first.
  price_kind: What is paid for, such as `prompt` or `completion`.
  unit: What one of it is: token, audio token, image token, image, request, search, fraction, unknown.
  price_text: The price as the source wrote it; the first spelling of the interval.
  price_usd: US dollars per unit, exact; null if dynamic or unreadable.
  price_status: `listed`, `free` (zero), `dynamic` (-1: depends on the request), `unreadable`.
  valid_from: The first answer that shows it.
  valid_to: The first answer that no longer shows it, or the first snapshot that no longer lists the model; null while it lasts.
  last_seen_at: The last answer that shows it. What replaced it did so after this moment and by the end of the interval.
*/
SELECT
    i.source,
    m.model_id,
    o.tag,
    o.twin_no,
    i.price_kind,
    i.unit,
    i.price_text,
    i.price_usd,
    i.price_status,
    i.valid_from,
    CASE
        WHEN i.valid_to IS NOT NULL THEN i.valid_to
        WHEN g.removed_at > a.last_seen_at THEN g.removed_at
    END AS valid_to,
    coalesce(i.last_seen_at, a.last_seen_at) AS last_seen_at
FROM catalogue.core.offer_price_intervals AS i
JOIN catalogue.core.offer_ids AS o ON o.offer_no = i.offer_no
JOIN catalogue.core.model_ids AS m ON m.model_no = i.model_no
JOIN catalogue.core.last_answers AS a ON a.source = i.source AND a.topic = 'offers' AND a.model_no = i.model_no
LEFT JOIN catalogue.core.gone_models AS g ON g.source = i.source AND g.model_no = i.model_no
WHERE i.known_to IS NULL AND i.price_status <> 'unlisted'
