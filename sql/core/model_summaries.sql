/*
meaning: The life of every model that was ever listed.
grain: a model, per source
reads: core.spells, core.runs, core.open_runs, core.versions, core.states, core.prices
columns:
  source: Where the model was listed.
  model_no: The model's number within this file.
  model_id: The model's id.
  name: The last name it had.
  author: The part of the id before the slash.
  first_seen_at: The first snapshot that listed it.
  last_seen_at: The last snapshot that listed it.
  removed_at: The first snapshot that lacked it after that; null while it is listed.
  was_added: Whether a snapshot before the first sight would have listed it.
  first_prompt_text: The first prompt price, as written.
  first_completion_text: The first completion price, as written.
  first_prompt_usd: US dollars per token, exact.
  first_completion_usd: US dollars per token, exact.
  last_prompt_text: The last prompt price, as written.
  last_completion_text: The last completion price, as written.
  last_prompt_usd: US dollars per token, exact.
  last_completion_usd: US dollars per token, exact.
*/
WITH lives AS (
    SELECT
        source,
        model_no,
        min(listed_from) AS first_seen_at,
        max(last_seen_at) AS last_seen_at,
        CASE WHEN bool_or(listed_to IS NULL) THEN NULL ELSE max(listed_to) END AS removed_at,
        NOT bool_or(is_left_censored) AS was_added
    FROM catalogue.core.spells
    WHERE known_to IS NULL
    GROUP BY source, model_no
),

versions AS (
    SELECT
        source, model_no, min_by(version_no, valid_from) AS first_version_no, max_by(version_no, valid_from) AS last_version_no
    FROM catalogue.core.runs
    WHERE known_to IS NULL
    GROUP BY source, model_no
)

SELECT
    l.source,
    l.model_no,
    s.model_id,
    s.name,
    s.author,
    l.first_seen_at,
    CASE WHEN l.removed_at IS NULL THEN o.last_seen_at ELSE l.last_seen_at END AS last_seen_at,
    l.removed_at,
    l.was_added,
    first_prompt.price_text AS first_prompt_text,
    first_completion.price_text AS first_completion_text,
    first_prompt.price_usd AS first_prompt_usd,
    first_completion.price_usd AS first_completion_usd,
    last_prompt.price_text AS last_prompt_text,
    last_completion.price_text AS last_completion_text,
    last_prompt.price_usd AS last_prompt_usd,
    last_completion.price_usd AS last_completion_usd
FROM lives AS l
JOIN versions AS v ON v.source = l.source AND v.model_no = l.model_no
JOIN catalogue.core.versions AS first_version ON first_version.version_no = v.first_version_no
JOIN catalogue.core.versions AS last_version ON last_version.version_no = v.last_version_no
JOIN catalogue.core.states AS s ON s.state_no = last_version.state_no
LEFT JOIN catalogue.core.open_runs AS o ON o.source = l.source AND o.model_no = l.model_no
LEFT JOIN catalogue.core.prices AS first_prompt
    ON first_prompt.price_list_no = first_version.price_list_no AND first_prompt.price_kind = 'prompt'
LEFT JOIN catalogue.core.prices AS first_completion
    ON first_completion.price_list_no = first_version.price_list_no AND first_completion.price_kind = 'completion'
LEFT JOIN catalogue.core.prices AS last_prompt
    ON last_prompt.price_list_no = last_version.price_list_no AND last_prompt.price_kind = 'prompt'
LEFT JOIN catalogue.core.prices AS last_completion
    ON last_completion.price_list_no = last_version.price_list_no AND last_completion.price_kind = 'completion'
