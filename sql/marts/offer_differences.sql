/*
meaning: List prices that no offer of the model asks. The list price is the top provider's, so one of its offers should ask just that; where the list was captured with a new price after the offers were, or the other way round, nobody can tell yet.
grain: a list price in force now of a model that has offers, per source
reads: core.price_intervals, core.offer_prices, core.open_offers, core.open_runs, core.model_ids
columns:
  source: Where it is listed, such as `openrouter`.
  model_id: The model's id, such as `author/name` or `author/name:free`.
  price_kind: What is paid for, such as `prompt` or `completion`.
  list_price_text: The list price as written.
  list_price_usd: The list price, exact; null if dynamic or unreadable.
  nearest_usd: The price of an offer that is nearest to it, exact; null if no offer has a price of this kind.
  offer_count: Offers of the model that have a price of this kind.
  list_valid_from: Since when the list shows this price.
  list_seen_at: The last snapshot that covers the model.
  offers_seen_at: The last answer about the model's offers.
  is_settled: Whether the offers were captured after the list showed this price, and the list not before them: then the difference is real.
*/
WITH offered AS (
    SELECT DISTINCT source, model_no, last_seen_at
    FROM catalogue.core.open_offers
),

listed AS (
    SELECT
        i.source, i.model_no, i.price_kind, i.price_text, i.price_usd, i.price_status, i.valid_from,
        r.last_seen_at AS list_seen_at,
        o.last_seen_at AS offers_seen_at
    FROM catalogue.core.price_intervals AS i
    JOIN offered AS o ON o.source = i.source AND o.model_no = i.model_no
    JOIN catalogue.core.open_runs AS r ON r.source = i.source AND r.model_no = i.model_no
    WHERE i.known_to IS NULL AND i.valid_to IS NULL AND i.price_status <> 'unlisted'
),

compared AS (
    SELECT
        l.source,
        l.model_no,
        l.price_kind,
        min_by(p.price_usd, abs(p.price_usd - l.price_usd)) AS nearest_usd,
        count(p.price_kind) AS offer_count,
        coalesce(bool_or(
            p.price_status = l.price_status AND p.price_usd IS NOT DISTINCT FROM l.price_usd
            AND (l.price_status <> 'unreadable' OR p.price_text = l.price_text)
        ), FALSE) AS is_an_offer
    FROM listed AS l
    LEFT JOIN catalogue.core.offer_prices AS p
        ON p.source = l.source AND p.model_no = l.model_no AND p.price_kind = l.price_kind
    GROUP BY l.source, l.model_no, l.price_kind
)

SELECT
    l.source,
    m.model_id,
    l.price_kind,
    l.price_text AS list_price_text,
    l.price_usd AS list_price_usd,
    c.nearest_usd,
    c.offer_count,
    l.valid_from AS list_valid_from,
    l.list_seen_at,
    l.offers_seen_at,
    l.offers_seen_at >= l.valid_from AND l.list_seen_at >= l.offers_seen_at AS is_settled
FROM compared AS c
JOIN listed AS l ON l.source = c.source AND l.model_no = c.model_no AND l.price_kind = c.price_kind
JOIN catalogue.core.model_ids AS m ON m.model_no = c.model_no
WHERE NOT c.is_an_offer
