/*
meaning: What the models of a usage log cost: marts.request_price_history for them alone, instants as microseconds since 1970 and each distinct set of prices under a number.
grain: a cell of a stretch of a model's prices
reads: marts.request_price_history
builds on: usage_routes
columns:
  model_id: The model's id.
  valid_from: The first instant of the stretch.
  agreed_to: The instant after the last snapshot that shows it.
  valid_to: The instant after the stretch.
  least_tokens: The least prompt tokens.
  below_tokens: One more than the most.
  week_from: The first minute of the week.
  week_to: The minute after the last one.
  prices_no: The number of the set of prices.
*/
SELECT
    model_id,
    epoch_us(valid_from) AS valid_from,
    epoch_us(last_seen_at) + 1 AS agreed_to,
    coalesce(epoch_us(valid_to), 9223372036854775807) AS valid_to,
    min_prompt_tokens AS least_tokens,
    coalesce(below_prompt_tokens, 9223372036854775807) AS below_tokens,
    week_from,
    week_to,
    CAST(dense_rank() OVER (
        ORDER BY
            prompt_usd, completion_usd, internal_reasoning_usd, input_cache_read_usd, input_cache_write_usd,
            input_cache_write_1h_usd, audio_usd, audio_output_usd, input_audio_cache_usd, image_token_usd, image_usd,
            image_output_usd, request_usd, web_search_usd, dynamic_kinds, unreadable_kinds, has_images_as_tokens,
            has_unknown_rule
    ) AS INTEGER) AS prices_no,
    prompt_usd, completion_usd, internal_reasoning_usd, input_cache_read_usd, input_cache_write_usd,
    input_cache_write_1h_usd, audio_usd, audio_output_usd, input_audio_cache_usd, image_token_usd, image_usd,
    image_output_usd, request_usd, web_search_usd, dynamic_kinds, unreadable_kinds, has_images_as_tokens,
    has_unknown_rule
FROM catalogue.marts.request_price_history(known_at := $known_at)
WHERE
    source = $source
    AND model_id IN (
        SELECT model_id FROM usage_routes
        UNION
        SELECT next_model_id FROM usage_routes WHERE next_model_id IS NOT NULL
        UNION
        SELECT model_id FROM usage_models
    )
