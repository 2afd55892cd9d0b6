/*
meaning: Changes of the rules of price lists, and what they mean for what a request pays: the price before and after, compared over a whole week's clock for each tier of prompt tokens.
grain: a change of a model's rules, a price kind and a tier of prompt tokens, per source; kinds that neither rules nor the change concern are left out
reads: core.price_rule_changes, core.model_ids
columns:
  changed_at: The first snapshot with the new rules.
  last_seen_at: The last snapshot with the old rules: the change happened after it and by changed_at.
  source: Where it was listed, such as `openrouter`.
  model_id: The model's id, such as `author/name` or `author/name:free`.
  price_kind: What is paid for, such as `prompt` or `completion`.
  min_prompt_tokens: The tier: requests of more prompt tokens than this, up to the next tier; null: the smallest requests.
  old_low_usd: The least that one unit cost at any time of a week, exact; null if it had no price that is a number.
  old_high_usd: The most that it cost.
  new_low_usd: The least that it costs now.
  new_high_usd: The most that it costs now.
  week_ratio: Mean price of the week, new / old - 1; null unless both are known at all times and the old one is above zero.
  changed_minutes: Minutes of a week (10,080) in which the price is another than before.
  unknown_minutes: Minutes of a week in which one of the prices is not known, since no capture ever showed the headline outside the windows.
  is_alias: Whether the model is an alias, whose changes repeat its target's.
  is_repricing: Whether a request pays another price at any time of the week.
  after_absence: Whether the model was not listed in between.
*/
SELECT
    c.changed_at,
    c.last_seen_at,
    c.source,
    m.model_id,
    c.price_kind,
    c.min_prompt_tokens,
    c.old_low_usd,
    c.old_high_usd,
    c.new_low_usd,
    c.new_high_usd,
    c.week_ratio,
    c.changed_minutes,
    c.unknown_minutes,
    m.model_id LIKE '~%' AS is_alias,
    c.is_repricing,
    c.after_absence
FROM catalogue.core.price_rule_changes AS c
JOIN catalogue.core.model_ids AS m ON m.model_no = c.model_no
WHERE c.known_to IS NULL
