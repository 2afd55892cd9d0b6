/*
meaning: Changed attributes of models between successive snapshots that list them. Empty forms (absent, null, "", [], {}) are equal, arrays of strings are sets; benchmarks and links are left out.
grain: a changed attribute of a model
reads: core.attribute_changes, core.model_ids
columns:
  changed_at: The first snapshot with the new value.
  last_seen_at: The last snapshot with the old value.
  source: Where it was listed, such as `openrouter`.
  model_id: The model's id, such as `author/name` or `author/name:free`.
  attribute: The column of `models`, or the dotted name in its `extra`.
  old_value: JSON; null if absent.
  new_value: JSON; null if absent.
  after_absence: Whether the model was not listed in between.
*/
SELECT
    c.changed_at,
    c.last_seen_at,
    c.source,
    m.model_id,
    c.attribute,
    c.old_value,
    c.new_value,
    c.after_absence
FROM catalogue.core.attribute_changes AS c
JOIN catalogue.core.model_ids AS m ON m.model_no = c.model_no
WHERE c.known_to IS NULL
