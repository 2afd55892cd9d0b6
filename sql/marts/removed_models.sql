/*
meaning: Models that are not listed now.
grain: a model not listed now, per source
reads: core.model_summaries, core.versions, core.prices
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
    m.source,
    m.model_id,
    m.name,
    m.author,
    m.first_seen_at,
    m.last_seen_at,
    m.removed_at,
    first_prompt.price_text AS first_prompt_text,
    first_completion.price_text AS first_completion_text,
    first_prompt.price_usd AS first_prompt_usd,
    first_completion.price_usd AS first_completion_usd,
    last_prompt.price_text AS last_prompt_text,
    last_completion.price_text AS last_completion_text,
    last_prompt.price_usd AS last_prompt_usd,
    last_completion.price_usd AS last_completion_usd
FROM catalogue.core.model_summaries AS m
JOIN catalogue.core.versions AS f ON f.version_no = m.first_version_no
JOIN catalogue.core.versions AS l ON l.version_no = m.last_version_no
LEFT JOIN catalogue.core.prices AS first_prompt
    ON first_prompt.price_list_no = f.price_list_no AND first_prompt.price_kind = 'prompt'
LEFT JOIN catalogue.core.prices AS first_completion
    ON first_completion.price_list_no = f.price_list_no AND first_completion.price_kind = 'completion'
LEFT JOIN catalogue.core.prices AS last_prompt
    ON last_prompt.price_list_no = l.price_list_no AND last_prompt.price_kind = 'prompt'
LEFT JOIN catalogue.core.prices AS last_completion
    ON last_completion.price_list_no = l.price_list_no AND last_completion.price_kind = 'completion'
WHERE m.removed_at IS NOT NULL
