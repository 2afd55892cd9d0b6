/*
meaning: The prices that rules give instead of the headline, over time.
grain: a rule's price interval: model, rule and price kind, per source
reads: core.rule_intervals, core.model_ids, core.open_runs
columns:
  source: Where it was listed, such as `openrouter`.
  model_id: The model's id, such as `author/name` or `author/name:free`.
  rule_no: The rule's place in the list, from 1; of the rules that hold a later one wins per price kind.
  min_prompt_tokens: The rule holds for more prompt tokens than this; null: for any number.
  utc_start: Start of the daily window, HHMM in UTC, inclusive.
  utc_end: End of the daily window, HHMM in UTC, exclusive; before the start where the window wraps midnight.
  utc_days: Weekdays on which the rule holds; null: on all.
  unknown_conditions: Conditions that are not understood, JSON; a rule that has any is not applied.
  price_kind: What is paid for, such as `prompt` or `completion`.
  unit: What one of it is: token, audio token, image token, image, request, search, fraction, unknown.
  price_text: The price as the source wrote it; the first spelling of the interval.
  price_usd: US dollars per unit, exact; null if dynamic or unreadable.
  price_status: `listed`, `free` (zero), `dynamic` (-1: depends on the request), `unreadable`.
  valid_from: The first snapshot that shows it.
  valid_to: The first snapshot that no longer shows it; null while it lasts.
  last_seen_at: The last snapshot that shows it. What replaced it did so after this moment and by the end of the interval.
*/
SELECT
    i.source,
    m.model_id,
    i.rule_no,
    i.min_prompt_tokens,
    i.utc_start,
    i.utc_end,
    i.utc_days,
    i.unknown_conditions,
    i.price_kind,
    i.unit,
    i.price_text,
    i.price_usd,
    i.price_status,
    i.valid_from,
    i.valid_to,
    CASE WHEN i.valid_to IS NULL THEN r.last_seen_at ELSE i.last_seen_at END AS last_seen_at
FROM catalogue.core.rule_intervals AS i
JOIN catalogue.core.model_ids AS m ON m.model_no = i.model_no
LEFT JOIN catalogue.core.open_runs AS r ON r.source = i.source AND r.model_no = i.model_no
WHERE i.known_to IS NULL
