/*
meaning: Which way of paying holds when, as a request looks it up: by its name, its UTC day, its instant and its prompt tokens.
grain: a name, a day, and a range of instants and of prompt tokens
builds on: usage_calendar, payments
columns:
  name_no: The name's number.
  day: The UTC day, counted from 1970-01-01.
  time_from: The first instant, in microseconds since 1970.
  time_to: The instant after the last one.
  least_tokens: The least prompt tokens.
  below_tokens: One more than the most.
  payment_no: The way of paying.
*/
SELECT c.name_no, c.day, c.time_from, c.time_to, c.least_tokens, c.below_tokens, p.payment_no
FROM usage_calendar AS c
JOIN payments AS p
    ON p.model_id = c.model_id AND p.prices_no IS NOT DISTINCT FROM c.prices_no
    AND p.next_prices_no IS NOT DISTINCT FROM c.next_prices_no AND p.confidence = c.confidence
