/*
meaning: What requests of a model pay per unit over time, all rules applied, as it was known at an instant: one row holds for all requests between two instants that have a number of prompt tokens and a time of the week in common. Kinds that the price list does not price are null, as are those that are dynamic or unreadable.
grain: a stretch of a model's prices, a range of prompt tokens and a stretch of the week, per source
reads: core.request_price_stretches, core.price_cells, core.price_rules, core.prices, core.window_holds, core.model_ids
macro: known_at := NULL
columns:
  source: Where it was listed, such as `openrouter`.
  model_id: The model's id, such as `author/name` or `author/name:free`.
  valid_from: The first snapshot that shows these prices.
  last_seen_at: The last snapshot that shows them.
  valid_to: The first snapshot that shows other prices, or no such model; null while they last. Where other prices follow, their rows begin at that instant.
  min_prompt_tokens: The least prompt tokens of such a request.
  below_prompt_tokens: One more than the most; null: any number.
  week_from: The first minute of the week at which these prices are paid, in UTC from Monday 00:00.
  week_to: The minute after the last one.
  prompt_usd: Per prompt token.
  completion_usd: Per completion token.
  internal_reasoning_usd: Per reasoning token.
  input_cache_read_usd: Per token read from the cache.
  input_cache_write_usd: Per token written to the cache for five minutes.
  input_cache_write_1h_usd: Per token written to the cache for an hour.
  audio_usd: Per audio token of the input.
  audio_output_usd: Per audio token of the output.
  input_audio_cache_usd: Per audio token read from the cache.
  image_token_usd: Per image token of the input; where only `image` is listed and its unit is the token, its price.
  image_usd: Per image of the input, where that is the unit of `image`.
  image_output_usd: Per image of the output.
  request_usd: Per request.
  web_search_usd: Per search.
  dynamic_kinds: The price kinds that are dynamic; null if none is.
  unreadable_kinds: The price kinds whose text is no price; null if there is none.
  has_images_as_tokens: Whether `image` is listed per token, so that the images of a request are in its prompt tokens.
  has_unknown_rule: Whether the price list has a rule that nobody understands, which was not applied.
*/
WITH stretches AS (
    SELECT *
    FROM catalogue.core.request_price_stretches(known_at)
),

lists AS (
    SELECT DISTINCT price_list_no, bases_key
    FROM stretches
),

-- asked once, used twice
grid AS (
    SELECT *
    FROM catalogue.core.price_cells
),

cells AS (
    SELECT l.price_list_no, l.bases_key, c.min_prompt_tokens, c.below_prompt_tokens, c.week_from, c.week_to
    FROM lists AS l
    JOIN grid AS c ON c.price_list_no = l.price_list_no
),

bases AS (
    SELECT
        price_list_no, bases_key, split_part(base, '=', 1) AS price_kind,
        CAST(nullif(split_part(base, '=', 2), '') AS INTEGER) AS base_list_no
    FROM (
        SELECT price_list_no, bases_key, unnest(string_split(bases_key, ',')) AS base
        FROM lists
        WHERE bases_key <> ''
    ) AS told
),

-- a week of its own, for the rules' clocks
holding AS (
    SELECT c.price_list_no, c.min_prompt_tokens, c.week_from, r.price_kind, max(r.rule_no) AS rule_no
    FROM grid AS c
    JOIN catalogue.core.price_rules AS r ON r.price_list_no = c.price_list_no
    WHERE
        r.unknown_conditions IS NULL
        AND (r.min_prompt_tokens IS NULL OR c.min_prompt_tokens > r.min_prompt_tokens)
        AND catalogue.core.window_holds(
            r.utc_start, r.utc_end, r.utc_days,
            TIMESTAMPTZ '2024-01-01 00:00:00+00' + c.week_from * INTERVAL '1' MINUTE
        )
    GROUP BY c.price_list_no, c.min_prompt_tokens, c.week_from, r.price_kind
),

kinds AS (
    SELECT l.price_list_no, l.bases_key, p.price_kind
    FROM lists AS l
    JOIN catalogue.core.prices AS p ON p.price_list_no = l.price_list_no
    UNION
    SELECT l.price_list_no, l.bases_key, r.price_kind
    FROM lists AS l
    JOIN catalogue.core.price_rules AS r ON r.price_list_no = l.price_list_no
),

rule_units AS (
    SELECT price_list_no, price_kind, max(unit) AS unit
    FROM catalogue.core.price_rules
    GROUP BY price_list_no, price_kind
),

told AS (
    SELECT
        c.price_list_no, c.bases_key, c.min_prompt_tokens, c.week_from, k.price_kind,
        coalesce(h.unit, u.unit) AS unit,
        CASE
            WHEN w.rule_no IS NOT NULL THEN r.price_usd WHEN s.base_list_no IS NULL THEN h.price_usd ELSE b.price_usd
        END AS price_usd,
        CASE
            WHEN w.rule_no IS NOT NULL THEN r.price_status WHEN s.base_list_no IS NULL THEN h.price_status
            ELSE b.price_status
        END AS price_status
    FROM cells AS c
    JOIN kinds AS k ON k.price_list_no = c.price_list_no AND k.bases_key = c.bases_key
    LEFT JOIN catalogue.core.prices AS h ON h.price_list_no = c.price_list_no AND h.price_kind = k.price_kind
    LEFT JOIN rule_units AS u ON u.price_list_no = c.price_list_no AND u.price_kind = k.price_kind
    LEFT JOIN holding AS w
        ON w.price_list_no = c.price_list_no AND w.min_prompt_tokens = c.min_prompt_tokens
        AND w.week_from = c.week_from AND w.price_kind = k.price_kind
    LEFT JOIN catalogue.core.price_rules AS r
        ON r.price_list_no = w.price_list_no AND r.price_kind = w.price_kind AND r.rule_no = w.rule_no
    LEFT JOIN bases AS s
        ON s.price_list_no = c.price_list_no AND s.bases_key = c.bases_key AND s.price_kind = k.price_kind
    LEFT JOIN catalogue.core.prices AS b ON b.price_list_no = s.base_list_no AND b.price_kind = k.price_kind
),

wide AS (
    SELECT
        price_list_no, bases_key, min_prompt_tokens, week_from,
        max(CASE WHEN price_kind = 'prompt' THEN price_usd END) AS prompt_usd,
        max(CASE WHEN price_kind = 'completion' THEN price_usd END) AS completion_usd,
        max(CASE WHEN price_kind = 'internal_reasoning' THEN price_usd END) AS internal_reasoning_usd,
        max(CASE WHEN price_kind = 'input_cache_read' THEN price_usd END) AS input_cache_read_usd,
        max(CASE WHEN price_kind = 'input_cache_write' THEN price_usd END) AS input_cache_write_usd,
        max(CASE WHEN price_kind = 'input_cache_write_1h' THEN price_usd END) AS input_cache_write_1h_usd,
        max(CASE WHEN price_kind = 'audio' THEN price_usd END) AS audio_usd,
        max(CASE WHEN price_kind = 'audio_output' THEN price_usd END) AS audio_output_usd,
        max(CASE WHEN price_kind = 'input_audio_cache' THEN price_usd END) AS input_audio_cache_usd,
        max(CASE WHEN price_kind = 'image_token' OR (price_kind = 'image' AND unit = 'token') THEN price_usd END)
            AS image_token_usd,
        max(CASE WHEN price_kind = 'image' AND unit <> 'token' THEN price_usd END) AS image_usd,
        max(CASE WHEN price_kind = 'image_output' THEN price_usd END) AS image_output_usd,
        max(CASE WHEN price_kind = 'request' THEN price_usd END) AS request_usd,
        max(CASE WHEN price_kind = 'web_search' THEN price_usd END) AS web_search_usd,
        list(price_kind ORDER BY price_kind) FILTER (WHERE price_status = 'dynamic') AS dynamic_kinds,
        list(price_kind ORDER BY price_kind) FILTER (WHERE price_status = 'unreadable') AS unreadable_kinds,
        bool_or(price_kind = 'image' AND unit = 'token' AND price_usd IS NOT NULL) AS has_images_as_tokens
    FROM told
    WHERE price_status IS NOT NULL
    GROUP BY price_list_no, bases_key, min_prompt_tokens, week_from
),

misunderstood AS (
    SELECT DISTINCT price_list_no
    FROM catalogue.core.price_rules
    WHERE unknown_conditions IS NOT NULL
)

SELECT
    s.source,
    m.model_id,
    s.valid_from,
    s.last_seen_at,
    s.valid_to,
    c.min_prompt_tokens,
    c.below_prompt_tokens,
    c.week_from,
    c.week_to,
    w.prompt_usd,
    w.completion_usd,
    w.internal_reasoning_usd,
    w.input_cache_read_usd,
    w.input_cache_write_usd,
    w.input_cache_write_1h_usd,
    w.audio_usd,
    w.audio_output_usd,
    w.input_audio_cache_usd,
    w.image_token_usd,
    w.image_usd,
    w.image_output_usd,
    w.request_usd,
    w.web_search_usd,
    w.dynamic_kinds,
    w.unreadable_kinds,
    coalesce(w.has_images_as_tokens, FALSE) AS has_images_as_tokens,
    u.price_list_no IS NOT NULL AS has_unknown_rule
FROM stretches AS s
JOIN cells AS c ON c.price_list_no = s.price_list_no AND c.bases_key = s.bases_key
JOIN catalogue.core.model_ids AS m ON m.model_no = s.model_no
LEFT JOIN wide AS w
    ON w.price_list_no = c.price_list_no AND w.bases_key = c.bases_key AND w.min_prompt_tokens = c.min_prompt_tokens
    AND w.week_from = c.week_from
LEFT JOIN misunderstood AS u ON u.price_list_no = s.price_list_no
