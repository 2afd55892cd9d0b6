/*
meaning: In what a model that two sources list now differs between them: headline prices and limits. What is equal has no row.
grain: a model, a pair of sources and a price kind or limit
reads: marts.prices, marts.models
columns:
  model_id: The model's id.
  source: The source whose name comes first in the alphabet.
  other_source: The other source.
  aspect: `price` or `limit`.
  name: The price kind, or `context_length` or `max_completion_tokens`.
  value: What `source` says, as text: the price as written; null if it does not list it.
  other_value: What `other_source` says.
  price_usd: US dollars per unit at `source`; null for limits, and where the price is dynamic, unreadable or not listed.
  other_price_usd: The same at `other_source`.
  difference_usd: The other price less the first, exact.
  limit_tokens: The limit at `source`; null for prices.
  other_limit_tokens: The limit at `other_source`.
*/
WITH pairs AS (
    SELECT a.source, b.source AS other_source, a.model_id
    FROM catalogue.marts.models AS a
    JOIN catalogue.marts.models AS b ON b.model_id = a.model_id AND b.source > a.source
),

kinds AS (
    SELECT DISTINCT p.source, p.other_source, p.model_id, k.price_kind
    FROM pairs AS p
    JOIN catalogue.marts.prices AS k ON k.model_id = p.model_id AND k.source IN (p.source, p.other_source)
),

limits AS (
    SELECT source, model_id, 'context_length' AS name, context_length AS limit_tokens FROM catalogue.marts.models
    UNION ALL
    SELECT source, model_id, 'max_completion_tokens', max_completion_tokens FROM catalogue.marts.models
)

SELECT
    k.model_id,
    k.source,
    k.other_source,
    'price' AS aspect,
    k.price_kind AS name,
    a.price_text AS value,
    b.price_text AS other_value,
    a.price_usd,
    b.price_usd AS other_price_usd,
    b.price_usd - a.price_usd AS difference_usd,
    CAST(NULL AS BIGINT) AS limit_tokens,
    CAST(NULL AS BIGINT) AS other_limit_tokens
FROM kinds AS k
LEFT JOIN catalogue.marts.prices AS a
    ON a.source = k.source AND a.model_id = k.model_id AND a.price_kind = k.price_kind
LEFT JOIN catalogue.marts.prices AS b
    ON b.source = k.other_source AND b.model_id = k.model_id AND b.price_kind = k.price_kind
WHERE
    a.price_status IS DISTINCT FROM b.price_status
    OR a.price_usd IS DISTINCT FROM b.price_usd
    OR (a.price_status = 'unreadable' AND a.price_text <> b.price_text)
UNION ALL
SELECT
    p.model_id,
    p.source,
    p.other_source,
    'limit',
    a.name,
    CAST(a.limit_tokens AS VARCHAR),
    CAST(b.limit_tokens AS VARCHAR),
    NULL,
    NULL,
    NULL,
    a.limit_tokens,
    b.limit_tokens
FROM pairs AS p
JOIN limits AS a ON a.source = p.source AND a.model_id = p.model_id
JOIN limits AS b ON b.source = p.other_source AND b.model_id = p.model_id AND b.name = a.name
WHERE a.limit_tokens IS DISTINCT FROM b.limit_tokens
