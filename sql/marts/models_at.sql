/*
meaning: The models listed at an instant, as they were known at another.
grain: a model listed at that instant, per source
reads: core.clocks, core.listed_at, core.states, core.spells
macro: valid_at, known_at := NULL
columns:
  source: Where it was listed, such as `openrouter`.
  model_id: The model's id, such as `author/name` or `author/name:free`.
  author: The part of the id before the slash.
  base_model_id: The id without its variant.
  variant: The part of the id after the colon, such as `free`; null if there is none.
  is_alias: Whether the id begins with `~` and so stands for another model.
  alias_target: The id that an alias stands for.
  name: The display name.
  canonical_slug: The permanent slug, shared by the variants of one model.
  hugging_face_id: The model's id on Hugging Face, as given.
  created_at: When the source says that the model was created.
  description: The description, as given; often truncated by the source since 2026-04.
  context_length: Tokens that fit into the context.
  modality: Inputs and outputs as one text, such as `text+image->text`.
  input_modalities: What the model takes.
  output_modalities: What the model gives.
  tokenizer: The tokenizer's family.
  instruct_type: The instruction format.
  max_completion_tokens: Tokens that one completion may have at the top provider.
  is_moderated: Whether the top provider moderates.
  supported_parameters: Request parameters that at least one provider supports.
  default_parameters: Default parameters, JSON.
  expiration_date: The day on which the model is announced to go away. 2098-12-31 and 9999-01-01 mean no real date.
  knowledge_cutoff: Up to when the training data reaches, as given.
  first_seen_at: The first snapshot that ever listed it.
  last_seen_at: The latest snapshot at or before the instant that lists it.
  next_seen_at: The first snapshot after the instant that lists it; null if there is none.
  extra: All other fields, JSON, fields inside a group under a dotted name such as `top_provider.context_length`; benchmarks left out.
*/
WITH asked AS (
    SELECT *
    FROM catalogue.core.clocks(valid_at, known_at)
),

first_sights AS (
    SELECT s.source, s.model_no, min(s.listed_from) AS first_seen_at
    FROM catalogue.core.spells AS s
    JOIN asked AS q ON s.known_from <= q.known_at AND (s.known_to IS NULL OR s.known_to > q.known_at)
    GROUP BY s.source, s.model_no
)

SELECT
    l.source,
    s.model_id,
    s.author,
    s.base_model_id,
    s.variant,
    s.is_alias,
    s.alias_target,
    s.name,
    s.canonical_slug,
    s.hugging_face_id,
    s.created_at,
    s.description,
    s.context_length,
    s.modality,
    s.input_modalities,
    s.output_modalities,
    s.tokenizer,
    s.instruct_type,
    s.max_completion_tokens,
    s.is_moderated,
    s.supported_parameters,
    s.default_parameters,
    s.expiration_date,
    s.knowledge_cutoff,
    f.first_seen_at,
    l.last_seen_at,
    l.next_seen_at,
    s.extra
FROM catalogue.core.listed_at(valid_at, known_at) AS l
JOIN catalogue.core.states AS s ON s.state_no = l.state_no
JOIN first_sights AS f ON f.source = l.source AND f.model_no = l.model_no
