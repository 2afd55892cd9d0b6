/*
meaning: Models whose coming was seen: an earlier snapshot would have listed them and did not.
grain: a model with an `added` event, per source
reads: core.model_summaries
columns:
  source: Where it was listed, such as `openrouter`.
  model_id: The model's id, such as `author/name` or `author/name:free`.
  name: The last name it had.
  author: The part of the id before the slash.
  first_seen_at: The first snapshot that listed it.
  last_seen_at: The last snapshot that listed it.
  removed_at: The first snapshot that lacked it after that; null while it is listed.
  first_prompt_text: The first prompt price, as written.
  first_completion_text: The first completion price, as written.
  first_prompt_usd: US dollars per token, exact.
  first_completion_usd: US dollars per token, exact.
  last_prompt_text: The last prompt price, as written.
  last_completion_text: The last completion price, as written.
  last_prompt_usd: US dollars per token, exact.
  last_completion_usd: US dollars per token, exact.
*/
SELECT
    source,
    model_id,
    name,
    author,
    first_seen_at,
    last_seen_at,
    removed_at,
    first_prompt_text,
    first_completion_text,
    first_prompt_usd,
    first_completion_usd,
    last_prompt_text,
    last_completion_text,
    last_prompt_usd,
    last_completion_usd
FROM catalogue.core.model_summaries
WHERE was_added
