/*
meaning: The headline prices of offers in force now, discounts left out.
grain: a price of an offer in force now
reads: core.open_offers, core.prices
columns:
  source: Where it is offered.
  model_no: The model's number within this file.
  offer_no: The offer's number within this file.
  offer_state_no: What it is now.
  price_kind: What is paid for.
  unit: What one of it is.
  price_text: The price as the source wrote it.
  price_usd: US dollars per unit, exact; null if dynamic or unreadable.
  price_status: `listed`, `free`, `dynamic`, `unreadable`.
  last_seen_at: The last answer about the model.
*/
SELECT
    o.source,
    o.model_no,
    o.offer_no,
    o.offer_state_no,
    p.price_kind,
    p.unit,
    p.price_text,
    p.price_usd,
    p.price_status,
    o.last_seen_at
FROM catalogue.core.open_offers AS o
JOIN catalogue.core.prices AS p ON p.price_list_no = o.price_list_no
WHERE p.price_kind <> 'discount'
