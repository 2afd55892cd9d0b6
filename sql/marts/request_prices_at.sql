/*
meaning: What a request of so many prompt tokens pays at an instant, as it was known at another: the base, then the rules that hold, of which a later one wins for each price kind.
grain: a price in force for the request: model and price kind, per source
reads: core.clocks, core.listed_at, core.prices, core.price_rules, core.windows, core.window_holds, core.runs, core.versions, core.verdicts, raw.captures, core.model_ids
macro: valid_at, prompt_tokens := 0, known_at := NULL
columns:
  source: Where it was listed, such as `openrouter`.
  model_id: The model's id, such as `author/name` or `author/name:free`.
  price_kind: What is paid for, such as `prompt` or `completion`.
  unit: What one of it is: token, audio token, image token, image, request, search, fraction, unknown.
  price_text: The price as the source wrote it.
  price_usd: US dollars per unit, exact; null if dynamic or unreadable.
  price_status: `listed`, `free` (zero), `dynamic` (-1: depends on the request), `unreadable`.
  rule_no: The rule that gives the price, from 1; null: none that holds names it, so that it is the base.
  base_seen_at: The snapshot whose headline the base is: with a schedule the last one outside every window, else the last one before the instant. Null where a rule gives the price, and where no capture ever showed the base of a schedule: then the price is the headline, which may be a band of the schedule.
  unknown_conditions: Conditions of rules that could have won and were not applied because nobody knows them, JSON.
  last_seen_at: The latest snapshot at or before the instant that lists the model.
  next_seen_at: The first snapshot after the instant that lists the model; null if there is none.
*/
WITH asked AS (
    SELECT *, CAST(prompt_tokens AS BIGINT) AS prompt_tokens
    FROM catalogue.core.clocks(valid_at, known_at)
),

listed AS (
    SELECT source, model_no, price_list_no, last_seen_at, next_seen_at
    FROM catalogue.core.listed_at(valid_at, known_at)
),

rules AS (
    SELECT
        l.source, l.model_no, r.rule_no, r.price_kind, r.unit, r.price_text, r.price_usd, r.price_status,
        r.unknown_conditions,
        r.unknown_conditions IS NULL
        AND (r.min_prompt_tokens IS NULL OR q.prompt_tokens > r.min_prompt_tokens)
        AND catalogue.core.window_holds(r.utc_start, r.utc_end, r.utc_days, q.valid_at) AS holds
    FROM listed AS l
    JOIN catalogue.core.price_rules AS r ON r.price_list_no = l.price_list_no
    CROSS JOIN asked AS q
),

winners AS (
    SELECT source, model_no, price_kind, max(rule_no) AS rule_no
    FROM rules
    WHERE holds
    GROUP BY source, model_no, price_kind
),

passed_over AS (
    SELECT
        r.source, r.model_no, r.price_kind,
        '[' || string_agg(CAST(r.unknown_conditions AS VARCHAR), ',' ORDER BY r.rule_no) || ']' AS unknown_conditions
    FROM rules AS r
    LEFT JOIN winners AS w ON w.source = r.source AND w.model_no = r.model_no AND w.price_kind = r.price_kind
    WHERE r.unknown_conditions IS NOT NULL AND r.rule_no > coalesce(w.rule_no, 0)
    GROUP BY r.source, r.model_no, r.price_kind
),

scheduled AS (
    SELECT DISTINCT l.source, l.model_no, s.price_kind
    FROM listed AS l
    JOIN catalogue.core.windows AS s ON s.price_list_no = l.price_list_no
    LEFT JOIN winners AS w ON w.source = l.source AND w.model_no = l.model_no AND w.price_kind = s.price_kind
    WHERE w.rule_no IS NULL
),

snapshots AS (
    SELECT c.source, c.observed_at, c.lists_every_modality
    FROM catalogue.core.verdicts AS v
    JOIN asked AS q ON v.known_from <= q.known_at AND (v.known_to IS NULL OR v.known_to > q.known_at)
    JOIN catalogue.raw.captures AS c ON c.capture_no = v.capture_no
    WHERE v.verdict = 'accepted' AND c.scope_kind = 'catalogue' AND c.observed_at <= q.valid_at
),

-- first the runs of the few that have a schedule, then the snapshots within them
scheduled_runs AS (
    SELECT
        d.source, d.model_no, d.price_kind, v.price_list_no AS seen_price_list_no, r.valid_from, r.valid_to,
        r.last_seen_at, r.text_listed_from
    FROM scheduled AS d
    JOIN catalogue.core.runs AS r ON r.source = d.source AND r.model_no = d.model_no
    JOIN asked AS q ON r.known_from <= q.known_at AND (r.known_to IS NULL OR r.known_to > q.known_at)
    JOIN catalogue.core.versions AS v ON v.version_no = r.version_no
),

sights AS (
    SELECT r.source, r.model_no, r.price_kind, r.seen_price_list_no, s.observed_at
    FROM scheduled_runs AS r
    JOIN snapshots AS s
        ON s.source = r.source AND s.observed_at >= r.valid_from
        AND (s.lists_every_modality OR s.observed_at >= r.text_listed_from)
        AND (r.valid_to IS NULL OR s.observed_at <= r.last_seen_at)
),

outside AS (
    SELECT s.source, s.model_no, s.price_kind, s.seen_price_list_no AS price_list_no, s.observed_at
    FROM sights AS s
    WHERE NOT EXISTS (
        SELECT 1
        FROM catalogue.core.windows AS w
        WHERE
            w.price_list_no = s.seen_price_list_no AND w.price_kind = s.price_kind
            AND catalogue.core.window_holds(w.utc_start, w.utc_end, w.utc_days, s.observed_at)
    )
),

bases AS (
    SELECT
        source, model_no, price_kind, max(observed_at) AS observed_at, max_by(price_list_no, observed_at) AS price_list_no
    FROM outside
    GROUP BY source, model_no, price_kind
),

kinds AS (
    SELECT l.source, l.model_no, p.price_kind
    FROM listed AS l
    JOIN catalogue.core.prices AS p ON p.price_list_no = l.price_list_no
    UNION
    SELECT source, model_no, price_kind
    FROM winners
    UNION
    SELECT source, model_no, price_kind
    FROM bases
),

told AS (
    SELECT
        k.source, k.model_no, k.price_kind, w.rule_no, o.unknown_conditions, l.last_seen_at, l.next_seen_at,
        coalesce(h.unit, (
            SELECT max(r.unit) FROM rules AS r
            WHERE r.source = k.source AND r.model_no = k.model_no AND r.price_kind = k.price_kind
        )) AS unit,
        CASE
            WHEN w.rule_no IS NOT NULL THEN NULL
            WHEN d.price_kind IS NULL THEN l.last_seen_at
            ELSE s.observed_at
        END AS base_seen_at,
        CASE
            WHEN w.rule_no IS NOT NULL THEN r.price_text WHEN s.observed_at IS NULL THEN h.price_text ELSE b.price_text
        END AS price_text,
        CASE
            WHEN w.rule_no IS NOT NULL THEN r.price_usd WHEN s.observed_at IS NULL THEN h.price_usd ELSE b.price_usd
        END AS price_usd,
        CASE
            WHEN w.rule_no IS NOT NULL THEN r.price_status WHEN s.observed_at IS NULL THEN h.price_status
            ELSE b.price_status
        END AS price_status
    FROM kinds AS k
    JOIN listed AS l ON l.source = k.source AND l.model_no = k.model_no
    LEFT JOIN catalogue.core.prices AS h ON h.price_list_no = l.price_list_no AND h.price_kind = k.price_kind
    LEFT JOIN winners AS w ON w.source = k.source AND w.model_no = k.model_no AND w.price_kind = k.price_kind
    LEFT JOIN rules AS r
        ON r.source = w.source AND r.model_no = w.model_no AND r.price_kind = w.price_kind AND r.rule_no = w.rule_no
    LEFT JOIN scheduled AS d ON d.source = k.source AND d.model_no = k.model_no AND d.price_kind = k.price_kind
    LEFT JOIN bases AS s ON s.source = k.source AND s.model_no = k.model_no AND s.price_kind = k.price_kind
    LEFT JOIN catalogue.core.prices AS b ON b.price_list_no = s.price_list_no AND b.price_kind = k.price_kind
    LEFT JOIN passed_over AS o ON o.source = k.source AND o.model_no = k.model_no AND o.price_kind = k.price_kind
)

SELECT
    t.source,
    m.model_id,
    t.price_kind,
    t.unit,
    t.price_text,
    t.price_usd,
    t.price_status,
    t.rule_no,
    t.base_seen_at,
    CAST(t.unknown_conditions AS JSON) AS unknown_conditions,
    t.last_seen_at,
    t.next_seen_at
FROM told AS t
JOIN catalogue.core.model_ids AS m ON m.model_no = t.model_no
-- a scheduled kind that was not listed outside its windows has no base
WHERE t.price_status IS NOT NULL
