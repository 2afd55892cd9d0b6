/*
meaning: What a million tokens of at least a context length, modalities and tools cost, day by day: the model with the lowest headline price at the end of each UTC day, by prompt tokens, completion tokens, and a blend of 3 to 1. Aliases and dynamic prices are left out, free models too unless `include_free`; rules are not applied. Prices of a hundred million dollars a token and more are left out.
grain: a UTC day and what is bought, per source; none where nothing qualifies, before the first snapshot and after the day of the last one
reads: core.clocks, core.state_intervals, core.states, core.price_intervals, core.model_ids, core.verdicts, raw.captures
macro: from_at, to_at := NULL, min_context_length := 0, input_modalities := ['text'], output_modalities := ['text'], needs_tools := FALSE, include_free := FALSE, known_at := NULL
columns:
  source: Where it was listed, such as `openrouter`.
  day: The UTC day, from that of `from_at` to the last one that begins before `to_at` (by default that of the last snapshot), as it stood at its end.
  bought: What is paid for: `prompt`, `completion`, or `blend`: three prompt tokens for each completion token.
  usd_per_million: What a million of these tokens cost, US dollars, exact: a million times the price, or for the blend 750,000 prompt prices and 250,000 completion prices.
  model_id: The model that asks so little; of several the first by id.
  equally_cheap: How many models ask just that.
  qualifying: How many models could have been chosen.
  prompt_usd: The model's prompt price: US dollars per token, exact.
  completion_usd: The model's completion price: US dollars per token, exact.
  is_free: Whether the model asks nothing for prompt or completion.
  context_length: Tokens that fit into the model's context.
  last_seen_at: The last snapshot by the end of the day; on a day of a gap it lies before the day.
*/
WITH asked AS (
    SELECT
        CAST(CAST(from_at AS TIMESTAMPTZ) AT TIME ZONE 'UTC' AS DATE) AS first_day,
        CAST(to_at AS TIMESTAMPTZ) AS to_at,
        c.known_at
    FROM catalogue.core.clocks(from_at, known_at) AS c
),

snapshots AS (
    SELECT c.source, c.observed_at, CAST(c.observed_at AT TIME ZONE 'UTC' AS DATE) AS day
    FROM catalogue.core.verdicts AS v
    JOIN asked AS q ON v.known_from <= q.known_at AND (v.known_to IS NULL OR v.known_to > q.known_at)
    JOIN catalogue.raw.captures AS c ON c.capture_no = v.capture_no
    WHERE v.verdict = 'accepted' AND c.scope_kind = 'catalogue'
),

reach AS (
    SELECT source, min(day) AS first_day, max(day) AS last_day
    FROM snapshots
    GROUP BY source
),

period AS (
    SELECT
        r.source,
        greatest(q.first_day, r.first_day) AS first_day,
        least(r.last_day, coalesce(CAST((q.to_at - INTERVAL '1' MICROSECOND) AT TIME ZONE 'UTC' AS DATE), r.last_day))
            AS last_day
    FROM reach AS r
    CROSS JOIN asked AS q
),

days AS (
    SELECT
        source,
        CAST(unnest(generate_series(
            CAST(first_day AS TIMESTAMP), CAST(last_day AS TIMESTAMP), INTERVAL '1' DAY
        )) AS DATE) AS day
    FROM period
),

able AS (
    SELECT i.source, i.model_no, i.valid_from, i.valid_to, s.context_length
    FROM catalogue.core.state_intervals AS i
    JOIN asked AS q ON i.known_from <= q.known_at AND (i.known_to IS NULL OR i.known_to > q.known_at)
    JOIN catalogue.core.states AS s ON s.state_no = i.state_no
    WHERE
        NOT coalesce(s.is_alias, FALSE)
        AND coalesce(s.context_length, 0) >= min_context_length
        -- early captures tell modalities in one text only
        AND list_has_all(
            coalesce(s.input_modalities, string_split(split_part(s.modality, '->', 1), '+'), []), input_modalities
        )
        AND list_has_all(
            coalesce(s.output_modalities, string_split(split_part(s.modality, '->', 2), '+'), []), output_modalities
        )
        AND (NOT needs_tools OR list_contains(coalesce(s.supported_parameters, []), 'tools'))
),

priced AS (
    SELECT i.source, i.model_no, i.price_kind, i.price_usd, i.valid_from, i.valid_to
    FROM catalogue.core.price_intervals AS i
    JOIN asked AS q ON i.known_from <= q.known_at AND (i.known_to IS NULL OR i.known_to > q.known_at)
    WHERE i.price_kind IN ('prompt', 'completion') AND i.price_usd < 100000000
),

-- stretches in which a model can do it at one prompt and one completion price
offers AS (
    SELECT
        a.source, a.model_no, a.context_length, p.price_usd AS prompt_usd, c.price_usd AS completion_usd,
        CAST(p.price_usd * 1000000 AS DECIMAL(38, 24)) AS prompt_cost,
        CAST(c.price_usd * 1000000 AS DECIMAL(38, 24)) AS completion_cost,
        CAST(p.price_usd * 750000 + c.price_usd * 250000 AS DECIMAL(38, 24)) AS blend_cost,
        p.price_usd = 0 OR c.price_usd = 0 AS is_free,
        greatest(a.valid_from, p.valid_from, c.valid_from) AS valid_from,
        least(a.valid_to, p.valid_to, c.valid_to) AS valid_to
    FROM able AS a
    JOIN priced AS p ON p.source = a.source AND p.model_no = a.model_no AND p.price_kind = 'prompt'
    JOIN priced AS c ON c.source = a.source AND c.model_no = a.model_no AND c.price_kind = 'completion'
    WHERE
        (p.valid_to IS NULL OR p.valid_to > a.valid_from) AND (a.valid_to IS NULL OR a.valid_to > p.valid_from)
        AND (c.valid_to IS NULL OR c.valid_to > a.valid_from) AND (a.valid_to IS NULL OR a.valid_to > c.valid_from)
        AND (p.valid_to IS NULL OR p.valid_to > c.valid_from) AND (c.valid_to IS NULL OR c.valid_to > p.valid_from)
        AND (include_free OR (p.price_usd > 0 AND c.price_usd > 0))
),

-- a day's end is the next one's midnight: it holds what began before it and did not end before it
daily AS (
    SELECT
        o.source, o.model_no, o.context_length, o.is_free, o.prompt_usd, o.completion_usd,
        o.prompt_cost, o.completion_cost, o.blend_cost,
        CAST(unnest(generate_series(
            CAST(greatest(
                p.first_day, CAST(o.valid_from AT TIME ZONE 'UTC' AS DATE)
            ) AS TIMESTAMP),
            CAST(least(
                p.last_day, coalesce(CAST(o.valid_to AT TIME ZONE 'UTC' AS DATE) - 1, p.last_day)
            ) AS TIMESTAMP),
            INTERVAL '1' DAY
        )) AS DATE) AS day
    FROM offers AS o
    JOIN period AS p ON p.source = o.source
),

lowest AS (
    SELECT
        source, day, count(*) AS qualifying, min(prompt_cost) AS prompt_cost,
        min(completion_cost) AS completion_cost, min(blend_cost) AS blend_cost
    FROM daily
    GROUP BY source, day
),

chosen AS (
    SELECT d.*, 'prompt' AS bought, l.prompt_cost AS usd_per_million, l.qualifying
    FROM lowest AS l
    JOIN daily AS d ON d.source = l.source AND d.day = l.day AND d.prompt_cost = l.prompt_cost
    UNION ALL
    SELECT d.*, 'completion' AS bought, l.completion_cost AS usd_per_million, l.qualifying
    FROM lowest AS l
    JOIN daily AS d ON d.source = l.source AND d.day = l.day AND d.completion_cost = l.completion_cost
    UNION ALL
    SELECT d.*, 'blend' AS bought, l.blend_cost AS usd_per_million, l.qualifying
    FROM lowest AS l
    JOIN daily AS d ON d.source = l.source AND d.day = l.day AND d.blend_cost = l.blend_cost
),

winners AS (
    SELECT
        c.source, c.day, c.bought, c.usd_per_million, c.qualifying,
        min(m.model_id) AS model_id,
        count(*) AS equally_cheap,
        min_by(c.prompt_usd, m.model_id) AS prompt_usd,
        min_by(c.completion_usd, m.model_id) AS completion_usd,
        min_by(c.is_free, m.model_id) AS is_free,
        min_by(c.context_length, m.model_id) AS context_length
    FROM chosen AS c
    JOIN catalogue.core.model_ids AS m ON m.model_no = c.model_no
    GROUP BY c.source, c.day, c.bought, c.usd_per_million, c.qualifying
),

sights AS (
    SELECT source, day, max(last_at) OVER (PARTITION BY source ORDER BY day) AS last_seen_at
    FROM (
        SELECT source, day, max(observed_at) AS last_at
        FROM (
            SELECT source, day, observed_at
            FROM snapshots
            UNION ALL
            SELECT source, day, NULL AS observed_at
            FROM days
        ) AS told
        GROUP BY source, day
    ) AS by_day
)

SELECT
    w.source,
    w.day,
    w.bought,
    w.usd_per_million,
    w.model_id,
    w.equally_cheap,
    w.qualifying,
    w.prompt_usd,
    w.completion_usd,
    w.is_free,
    w.context_length,
    s.last_seen_at
FROM winners AS w
JOIN sights AS s ON s.source = w.source AND s.day = w.day
