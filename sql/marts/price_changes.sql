/*
meaning: Changes of headline prices between successive snapshots that cover and list a model.
grain: a change of one headline price
reads: core.price_changes, core.model_ids, core.routed_price_changes
columns:
  changed_at: The first snapshot with the new value.
  last_seen_at: The last snapshot with the old value: the change happened after it and by changed_at.
  source: Where it was listed, such as `openrouter`.
  model_id: The model's id, such as `author/name` or `author/name:free`.
  price_kind: What is paid for, such as `prompt` or `completion`.
  change_kind: listed (absent before), unlisted (absent now), became_dynamic, became_fixed, became_paid, became_free, increase, decrease; became_unreadable and became_readable where the text is no number.
  old_price_text: The old price as first written; null if absent.
  new_price_text: The new price as first written; null if absent.
  old_price_usd: The old price, exact.
  new_price_usd: The new price, exact.
  change_ratio: new / old - 1; null unless both are above zero.
  is_alias: Whether the model is an alias, whose changes repeat its target's.
  has_rule_change: Whether the rules changed together with the headline.
  is_schedule_flip: Whether the price list is unchanged and the clock moved the headline from one value of its schedule to another.
  is_repricing: Whether it is an increase, a decrease, became_free or became_paid, and no schedule flip.
  after_absence: Whether the model was not listed in between.
  reverted_at: When the old value came back, if the next change of this price restored it.
  explained_by: `schedule` where is_schedule_flip; `routing` where another offer of the model, which cost the new value before and after, became the headline, so that no price changed; null for anything else, and where no offers were captured around the change.
*/
SELECT
    c.changed_at,
    c.last_seen_at,
    c.source,
    m.model_id,
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
    m.model_id LIKE '~%' AS is_alias,
    c.has_rule_change,
    c.is_schedule_flip,
    c.change_kind IN ('increase', 'decrease', 'became_free', 'became_paid') AND NOT c.is_schedule_flip AS is_repricing,
    c.after_absence,
    c.reverted_at,
    CASE WHEN c.is_schedule_flip THEN 'schedule' WHEN r.model_no IS NOT NULL THEN 'routing' END AS explained_by
FROM catalogue.core.price_changes AS c
JOIN catalogue.core.model_ids AS m ON m.model_no = c.model_no
LEFT JOIN catalogue.core.routed_price_changes AS r
    ON r.source = c.source AND r.model_no = c.model_no AND r.price_kind = c.price_kind AND r.changed_at = c.changed_at
WHERE c.known_to IS NULL
