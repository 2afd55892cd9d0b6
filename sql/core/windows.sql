/*
meaning: The prices that a clock alone turns on and off, so that the headline shows now one of them and now another.
grain: a price of a rule with times and no other conditions
reads: core.price_rules
columns:
  price_list_no: The price list's number within this file.
  price_kind: What is paid for.
  utc_start: Start of the daily window, HHMM in UTC, inclusive; null: midnight.
  utc_end: End of the daily window, HHMM in UTC, exclusive; null: midnight.
  utc_days: Weekdays on which the rule holds; null or empty: on all.
  price_usd: US dollars per unit, exact.
*/
SELECT
    price_list_no,
    price_kind,
    utc_start,
    utc_end,
    utc_days,
    price_usd
FROM catalogue.core.price_rules
WHERE
    (utc_start IS NOT NULL OR utc_end IS NOT NULL OR utc_days IS NOT NULL)
    AND min_prompt_tokens IS NULL AND unknown_conditions IS NULL
