/*
meaning: A price is the number that its text says.
grain: a price interval in which it is not
reads: marts.price_history
columns:
  source: Where the model was listed.
  model_id: The model's id.
  price_kind: What is paid for.
  price_text: The price as the source wrote it.
  price_usd: The price as stored.
  valid_from: Where the interval begins.
*/
SELECT source, model_id, price_kind, price_text, price_usd, valid_from
FROM catalogue.marts.price_history
WHERE
    price_usd <> TRY_CAST(price_text AS DECIMAL(38, 24))
    OR (price_usd IS NULL) <> (price_status IN ('dynamic', 'unreadable'))
    OR (price_usd = 0) <> (price_status = 'free')
