/*
meaning: The ways in which requests of a log are paid: the prices in force beside those that the next snapshot shows.
grain: a model, the prices in force, the prices that follow, and what is known of both
builds on: usage_calendar, unit_prices
columns:
  payment_no: The way's number; 0 is that of a model that is not known.
  model_id: The model whose prices are paid.
  confidence: What is known of the prices: see usage_stretches.
  is_unsure: Whether the next snapshot shows other prices.
  is_priced: Whether any prices are in force.
*/
WITH ways AS (
    SELECT DISTINCT model_id, prices_no, next_prices_no, confidence
    FROM usage_calendar
),

numbered AS (
    SELECT
        CAST(row_number() OVER (ORDER BY model_id, prices_no, next_prices_no, confidence) AS INTEGER) AS payment_no,
        model_id, prices_no, next_prices_no, confidence
    FROM ways
    UNION ALL
    SELECT
        0 AS payment_no, CAST(NULL AS VARCHAR) AS model_id, CAST(NULL AS INTEGER) AS prices_no,
        CAST(NULL AS INTEGER) AS next_prices_no, 'unknown_model' AS confidence
)

SELECT
    w.payment_no,
    CAST(w.model_id AS name_text) AS model_id,
    w.prices_no,
    w.next_prices_no,
    CAST(w.confidence AS confidence_text) AS confidence,
    w.confidence = 'changed_within_gap' AS is_unsure,
    w.prices_no IS NOT NULL AS is_priced,
    p.prompt_usd, p.completion_usd, p.internal_reasoning_usd, p.input_cache_read_usd, p.input_cache_write_usd,
    p.input_cache_write_1h_usd, p.audio_usd, p.audio_output_usd, p.input_audio_cache_usd, p.image_token_usd,
    p.image_usd, p.image_output_usd, p.request_usd, p.one_request_usd, p.web_search_usd,
    coalesce(p.assumed, 0) AS assumed, coalesce(p.dynamic, 0) AS dynamic, coalesce(p.unreadable, 0) AS unreadable,
    n.prompt_usd AS next_prompt_usd,
    n.completion_usd AS next_completion_usd,
    n.internal_reasoning_usd AS next_internal_reasoning_usd,
    n.input_cache_read_usd AS next_input_cache_read_usd,
    n.input_cache_write_usd AS next_input_cache_write_usd,
    n.input_cache_write_1h_usd AS next_input_cache_write_1h_usd,
    n.audio_usd AS next_audio_usd,
    n.audio_output_usd AS next_audio_output_usd,
    n.input_audio_cache_usd AS next_input_audio_cache_usd,
    n.image_token_usd AS next_image_token_usd,
    n.image_usd AS next_image_usd,
    n.image_output_usd AS next_image_output_usd,
    n.request_usd AS next_request_usd,
    n.one_request_usd AS next_one_request_usd,
    n.web_search_usd AS next_web_search_usd
FROM numbered AS w
LEFT JOIN unit_prices AS p ON p.prices_no = w.prices_no
LEFT JOIN unit_prices AS n ON n.prices_no = w.next_prices_no
