/*
meaning: What one unit of each thing that a request may use costs under a set of prices, assumptions made. Null: no price.
grain: a set of prices
builds on: model_prices, counted_kinds
columns:
  prices_no: The number of the set of prices.
  assumed: Which assumptions give prices here, a bit for each in the order of the program's list; 128: a rule is not understood.
  dynamic: Which things have a dynamic price, a bit for each in the order of the log's counts.
  unreadable: Likewise, which have a price that is no number.
*/
WITH sets AS (
    SELECT DISTINCT
        prices_no, prompt_usd, completion_usd, internal_reasoning_usd, input_cache_read_usd, input_cache_write_usd,
        input_cache_write_1h_usd, audio_usd, audio_output_usd, input_audio_cache_usd, image_token_usd, image_usd,
        image_output_usd, request_usd, web_search_usd, has_images_as_tokens, has_unknown_rule,
        coalesce(dynamic_kinds, CAST([] AS VARCHAR[])) AS dynamic_kinds,
        coalesce(unreadable_kinds, CAST([] AS VARCHAR[])) AS unreadable_kinds
    FROM model_prices
),

silences AS (
    SELECT
        *,
        $cache_read_as_prompt AND input_cache_read_usd IS NULL
        AND NOT list_contains(dynamic_kinds || unreadable_kinds, 'input_cache_read') AS assumes_read,
        $cache_write_as_prompt AND input_cache_write_usd IS NULL
        AND NOT list_contains(dynamic_kinds || unreadable_kinds, 'input_cache_write') AS assumes_write,
        $cache_write_1h_as_prompt AND input_cache_write_1h_usd IS NULL
        AND NOT list_contains(dynamic_kinds || unreadable_kinds, 'input_cache_write_1h') AS assumes_write_1h,
        $reasoning_as_completion AND internal_reasoning_usd IS NULL
        AND NOT list_contains(dynamic_kinds || unreadable_kinds, 'internal_reasoning') AS assumes_reasoning,
        $zero_reasoning_as_completion AND coalesce(internal_reasoning_usd = 0, FALSE) AS assumes_reasoning_unset,
        $images_in_prompt AND has_images_as_tokens AND image_usd IS NULL AS assumes_images,
        $one_request AND coalesce(request_usd > 0, FALSE) AS assumes_request
    FROM sets
)

SELECT
    prices_no,
    prompt_usd,
    completion_usd,
    CASE WHEN assumes_reasoning OR assumes_reasoning_unset THEN completion_usd ELSE internal_reasoning_usd END
        AS internal_reasoning_usd,
    CASE WHEN assumes_read THEN prompt_usd ELSE input_cache_read_usd END AS input_cache_read_usd,
    CASE WHEN assumes_write THEN prompt_usd ELSE input_cache_write_usd END AS input_cache_write_usd,
    CASE WHEN assumes_write_1h THEN prompt_usd ELSE input_cache_write_1h_usd END AS input_cache_write_1h_usd,
    audio_usd,
    audio_output_usd,
    input_audio_cache_usd,
    image_token_usd,
    CASE WHEN assumes_images THEN CAST(0 AS DECIMAL(38, 24)) ELSE image_usd END AS image_usd,
    image_output_usd,
    request_usd,
    CASE
        WHEN assumes_request THEN request_usd
        WHEN $one_request AND list_contains(dynamic_kinds || unreadable_kinds, 'request') THEN NULL
        ELSE CAST(0 AS DECIMAL(38, 24))
    END AS one_request_usd,
    web_search_usd,
    CAST(
        CASE WHEN assumes_read THEN 1 ELSE 0 END + CASE WHEN assumes_write THEN 2 ELSE 0 END
        + CASE WHEN assumes_write_1h THEN 4 ELSE 0 END + CASE WHEN assumes_reasoning THEN 8 ELSE 0 END
        + CASE WHEN assumes_reasoning_unset THEN 16 ELSE 0 END + CASE WHEN assumes_images THEN 32 ELSE 0 END
        + CASE WHEN assumes_request THEN 64 ELSE 0 END + CASE WHEN has_unknown_rule THEN 128 ELSE 0 END
        AS INTEGER
    ) AS assumed,
    CAST((
        SELECT coalesce(sum(CASE WHEN list_contains(dynamic_kinds, k.price_kind) THEN k.bit ELSE 0 END), 0)
        FROM counted_kinds AS k
    ) AS INTEGER)
    | CASE
        WHEN list_contains(dynamic_kinds, 'prompt')
            THEN
                CASE WHEN assumes_read THEN 8 ELSE 0 END + CASE WHEN assumes_write THEN 16 ELSE 0 END
                + CASE WHEN assumes_write_1h THEN 32 ELSE 0 END
        ELSE 0
    END
    | CASE WHEN list_contains(dynamic_kinds, 'completion') AND assumes_reasoning THEN 4 ELSE 0 END AS dynamic,
    CAST((
        SELECT coalesce(sum(CASE WHEN list_contains(unreadable_kinds, k.price_kind) THEN k.bit ELSE 0 END), 0)
        FROM counted_kinds AS k
    ) AS INTEGER)
    | CASE
        WHEN list_contains(unreadable_kinds, 'prompt')
            THEN
                CASE WHEN assumes_read THEN 8 ELSE 0 END + CASE WHEN assumes_write THEN 16 ELSE 0 END
                + CASE WHEN assumes_write_1h THEN 32 ELSE 0 END
        ELSE 0
    END
    | CASE WHEN list_contains(unreadable_kinds, 'completion') AND assumes_reasoning THEN 4 ELSE 0 END AS unreadable
FROM silences
