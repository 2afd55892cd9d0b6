/*
meaning: A model's list price against its offers now. Dynamic and unreadable prices of offers do not count.
grain: a price kind of a model that has offers, per source
reads: core.offer_prices, core.offer_ids, core.model_ids, core.price_intervals
columns:
  source: Where it is offered, such as `openrouter`.
  model_id: The model's id, such as `author/name` or `author/name:free`.
  price_kind: What is paid for, such as `prompt` or `completion`.
  unit: What one of it is: token, audio token, image token, image, request, search, unknown.
  list_price_usd: The headline price of the model, exact; null if it lists none of this kind or it is no number.
  cheapest_usd: The lowest price of an offer, exact.
  median_usd: The price of the offer in the middle, exact; of an even number the lower of the two, so that it is a price that somebody asks.
  dearest_usd: The highest price of an offer, exact.
  cheapest_tag: The tag of the cheapest offer, of equal ones the first.
  dearest_tag: The tag of the dearest offer, of equal ones the first.
  offer_count: Offers that have a price of this kind.
  list_to_cheapest_ratio: List price / cheapest - 1; null unless both are above zero.
  dearest_to_cheapest_ratio: Dearest / cheapest - 1; null unless both are above zero.
  last_seen_at: The last answer about the model's offers.
*/
WITH ranked AS (
    SELECT
        p.*,
        i.tag,
        row_number() OVER (PARTITION BY p.source, p.model_no, p.price_kind ORDER BY p.price_usd, i.tag, i.twin_no) AS place,
        row_number() OVER (
            PARTITION BY p.source, p.model_no, p.price_kind ORDER BY p.price_usd DESC, i.tag, i.twin_no
        ) AS place_from_dearest,
        count(*) OVER (PARTITION BY p.source, p.model_no, p.price_kind) AS offer_count
    FROM catalogue.core.offer_prices AS p
    JOIN catalogue.core.offer_ids AS i ON i.offer_no = p.offer_no
    WHERE p.price_usd IS NOT NULL
),

spreads AS (
    SELECT
        source,
        model_no,
        price_kind,
        max(CASE WHEN place = 1 THEN unit END) AS unit,
        max(CASE WHEN place = 1 THEN price_usd END) AS cheapest_usd,
        max(CASE WHEN place = (offer_count + 1) // 2 THEN price_usd END) AS median_usd,
        max(CASE WHEN place_from_dearest = 1 THEN price_usd END) AS dearest_usd,
        max(CASE WHEN place = 1 THEN tag END) AS cheapest_tag,
        max(CASE WHEN place_from_dearest = 1 THEN tag END) AS dearest_tag,
        max(offer_count) AS offer_count,
        max(last_seen_at) AS last_seen_at
    FROM ranked
    GROUP BY source, model_no, price_kind
)

SELECT
    s.source,
    m.model_id,
    s.price_kind,
    s.unit,
    l.price_usd AS list_price_usd,
    s.cheapest_usd,
    s.median_usd,
    s.dearest_usd,
    s.cheapest_tag,
    s.dearest_tag,
    s.offer_count,
    CASE
        WHEN l.price_usd > 0 AND s.cheapest_usd > 0
            THEN CAST(l.price_usd AS DOUBLE) / CAST(s.cheapest_usd AS DOUBLE) - 1
    END AS list_to_cheapest_ratio,
    CASE
        WHEN s.cheapest_usd > 0 THEN CAST(s.dearest_usd AS DOUBLE) / CAST(s.cheapest_usd AS DOUBLE) - 1
    END AS dearest_to_cheapest_ratio,
    s.last_seen_at
FROM spreads AS s
JOIN catalogue.core.model_ids AS m ON m.model_no = s.model_no
LEFT JOIN catalogue.core.price_intervals AS l
    ON l.source = s.source AND l.model_no = s.model_no AND l.price_kind = s.price_kind AND l.known_to IS NULL
    AND l.valid_to IS NULL
