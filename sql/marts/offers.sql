/*
meaning: Who offers which model now, and on what terms. Offers of models that are not listed any more are left out.
grain: an offer in force now: model, tag and twin, per source
reads: core.open_offers, core.offer_ids, core.model_ids, core.offer_states, core.prices, core.offer_spells, core.answer_runs, core.answer_lists
columns:
  source: Where it was offered, such as `openrouter`.
  model_id: The model's id, such as `author/name` or `author/name:free`.
  tag: What tells a provider's offers of a model apart, such as `novita/fp8`: provider, tier, region.
  twin_no: 1; where a model has several offers under one tag, their rank by price, the cheapest first.
  provider_name: Who serves it.
  name: The display name.
  quantization: How the weights are rounded, such as `fp8`; null or `unknown` if nobody says.
  context_length: Tokens that fit into the context at this provider.
  max_completion_tokens: Tokens that one completion may have.
  max_prompt_tokens: Tokens that one prompt may have.
  supported_parameters: Request parameters that it supports.
  supports_implicit_caching: Whether repeated prompts are cached without being asked.
  is_zdr: Whether the last list of offers without data retention names its model and tag; null if there is no such list.
  discount: The fraction by which its prices are already lowered.
  first_seen_at: The first answer that ever listed it.
  last_seen_at: The last answer about its model.
  extra: All other fields but measurements, JSON.
*/
WITH first_sights AS (
    SELECT source, offer_no, min(offered_from) AS first_seen_at
    FROM catalogue.core.offer_spells
    WHERE known_to IS NULL
    GROUP BY source, offer_no
),

zdr AS (
    SELECT r.source, unnest(l.members) AS offer_no
    FROM catalogue.core.answer_runs AS r
    JOIN catalogue.core.answer_lists AS l ON l.list_no = r.list_no
    WHERE r.known_to IS NULL AND r.valid_to IS NULL AND r.topic = 'zdr'
),

zdr_tags AS (
    SELECT DISTINCT z.source, i.model_no, i.tag
    FROM zdr AS z
    JOIN catalogue.core.offer_ids AS i ON i.offer_no = z.offer_no
),

zdr_sources AS (
    SELECT DISTINCT source
    FROM catalogue.core.answer_runs
    WHERE known_to IS NULL AND valid_to IS NULL AND topic = 'zdr'
)

SELECT
    o.source,
    m.model_id,
    i.tag,
    i.twin_no,
    s.provider_name,
    s.name,
    s.quantization,
    s.context_length,
    s.max_completion_tokens,
    s.max_prompt_tokens,
    s.supported_parameters,
    s.supports_implicit_caching,
    CASE WHEN zs.source IS NOT NULL THEN z.tag IS NOT NULL END AS is_zdr,
    d.price_usd AS discount,
    f.first_seen_at,
    o.last_seen_at,
    s.extra
FROM catalogue.core.open_offers AS o
JOIN catalogue.core.offer_ids AS i ON i.offer_no = o.offer_no
JOIN catalogue.core.model_ids AS m ON m.model_no = o.model_no
JOIN catalogue.core.offer_states AS s ON s.offer_state_no = o.offer_state_no
JOIN first_sights AS f ON f.source = o.source AND f.offer_no = o.offer_no
LEFT JOIN zdr_sources AS zs ON zs.source = o.source
LEFT JOIN zdr_tags AS z ON z.source = o.source AND z.model_no = o.model_no AND z.tag = i.tag
LEFT JOIN catalogue.core.prices AS d ON d.price_list_no = o.price_list_no AND d.price_kind = 'discount'
