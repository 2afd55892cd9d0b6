/*
meaning: Changes of headline prices of offers between successive answers that list the offer.
grain: a change of one headline price of an offer
reads: core.offer_price_changes, core.offer_ids, core.model_ids
columns:
  changed_at: The first answer with the new value.
  last_seen_at: The last answer with the old value: the change happened after it and by changed_at.
  source: Where it was offered, such as `openrouter`.
  model_id: The model's id, such as `author/name` or `author/name:free`.
  tag: What tells a provider's offers of a model apart, such as `novita/fp8`: provider, tier, region.
  twin_no: 1; where a model has several offers under one tag, their rank by price, the cheapest first.
  price_kind: What is paid for, such as `prompt` or `completion`.
  change_kind: listed (absent before), unlisted (absent now), became_dynamic, became_fixed, became_paid, became_free, increase, decrease; became_unreadable and became_readable where the text is no number.
  old_price_text: The old price as first written; null if absent.
  new_price_text: The new price as first written; null if absent.
  old_price_usd: The old price, exact.
  new_price_usd: The new price, exact.
  change_ratio: new / old - 1; null unless both are above zero.
  has_rule_change: Whether the offer's rules changed together with the headline.
  is_schedule_flip: Whether the price list is unchanged and the clock moved the headline from one value of its schedule to another.
  is_repricing: Whether it is an increase, a decrease, became_free or became_paid, no schedule flip, and not of the discount.
  after_absence: Whether the offer was not made in between.
  reverted_at: When the old value came back, if the next change of this price restored it.
*/
SELECT
    c.changed_at,
    c.last_seen_at,
    c.source,
    m.model_id,
    o.tag,
    o.twin_no,
    c.price_kind,
    c.change_kind,
    c.old_price_text,
    c.new_price_text,
    c.old_price_usd,
    c.new_price_usd,
    CASE
        WHEN c.old_price_usd > 0 AND c.new_price_usd > 0
            THEN CAST(c.new_price_usd AS DOUBLE) / CAST(c.old_price_usd AS DOUBLE) - 1
    END AS change_ratio,
    c.has_rule_change,
    c.is_schedule_flip,
    c.change_kind IN ('increase', 'decrease', 'became_free', 'became_paid') AND NOT c.is_schedule_flip
    AND c.price_kind <> 'discount' AS is_repricing,
    c.after_absence,
    c.reverted_at
FROM catalogue.core.offer_price_changes AS c
JOIN catalogue.core.offer_ids AS o ON o.offer_no = c.offer_no
JOIN catalogue.core.model_ids AS m ON m.model_no = c.model_no
WHERE c.known_to IS NULL
