/*
meaning: The cheapest offer of every model now, for each price kind. Dynamic and unreadable prices do not compete.
grain: a price kind of a model that has offers: the cheapest offer, of equal ones the first by tag
reads: core.offer_prices, marts.offers, core.offer_ids, core.model_ids
columns:
  source: Where it is offered, such as `openrouter`.
  model_id: The model's id, such as `author/name` or `author/name:free`.
  price_kind: What is paid for, such as `prompt` or `completion`.
  unit: What one of it is: token, audio token, image token, image, request, search, unknown.
  price_text: The price as the source wrote it.
  price_usd: US dollars per unit, exact.
  tag: The offer's tag.
  twin_no: The offer's number among the twins under its tag.
  provider_name: Who serves it.
  quantization: How the weights are rounded.
  context_length: Tokens that fit into the context at this provider.
  is_zdr: Whether it keeps no data; null if nobody knows.
  equal_count: Offers that cost just as little, this one included.
  offer_count: Offers that have a price of this kind.
  last_seen_at: The last answer about the model.
*/
WITH ranked AS (
    SELECT
        p.*,
        m.model_id,
        i.tag,
        i.twin_no,
        row_number() OVER (
            PARTITION BY p.source, p.model_no, p.price_kind ORDER BY p.price_usd, i.tag, i.twin_no
        ) AS place,
        count(*) OVER (PARTITION BY p.source, p.model_no, p.price_kind, p.price_usd) AS equal_count,
        count(*) OVER (PARTITION BY p.source, p.model_no, p.price_kind) AS offer_count
    FROM catalogue.core.offer_prices AS p
    JOIN catalogue.core.offer_ids AS i ON i.offer_no = p.offer_no
    JOIN catalogue.core.model_ids AS m ON m.model_no = p.model_no
    WHERE p.price_usd IS NOT NULL
)

SELECT
    r.source,
    r.model_id,
    r.price_kind,
    r.unit,
    r.price_text,
    r.price_usd,
    r.tag,
    r.twin_no,
    o.provider_name,
    o.quantization,
    o.context_length,
    o.is_zdr,
    r.equal_count,
    r.offer_count,
    r.last_seen_at
FROM ranked AS r
JOIN catalogue.marts.offers AS o
    ON o.source = r.source AND o.model_id = r.model_id AND o.tag = r.tag AND o.twin_no = r.twin_no
WHERE r.place = 1
