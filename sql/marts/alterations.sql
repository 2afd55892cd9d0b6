/*
meaning: What later knowledge altered: intervals that were told otherwise before a late capture came or a person decided. What merely goes on with a new snapshot is no alteration.
grain: an interval by its beginning, and the commit that altered it
reads: core.verdicts, raw.captures, core.spells, core.state_intervals, core.price_intervals, core.rule_intervals, core.model_ids
columns:
  recorded_at: When this warehouse learnt better.
  source: Where the model was listed, such as `openrouter`.
  model_id: The model's id, such as `author/name` or `author/name:free`.
  what: What the interval is of: `listing`, `attributes`, `price` or `rule`.
  price_kind: Of a price or a rule: what is paid for.
  rule_no: Of a rule: its place in the list.
  alteration: `appeared` (no interval began then), `vanished` (none begins then any more), `ends_otherwise`, `other_value`, or `narrowed` (the same, but it is known better when it ended).
  valid_from: When the interval begins, or began.
  former_valid_to: Its end as told before; null if it had none, or none that was known.
  valid_to: Its end as told since; null if it has none.
  former_value: Of a price or a rule: the price as told before, `unlisted` where the kind was absent.
  value: The same as told since.
  cause: `late_capture` (one that was loaded or accepted after later ones) or `retraction` (one that is accepted no more).
  snapshot_id: The capture that did it; of several in one commit the one at an end of the interval, or else the last before.
  observed_at: When the source said what that capture says.
*/
WITH turned AS (
    SELECT
        c.source, v.known_from AS recorded_at, c.snapshot_id, c.observed_at, 'late_capture' AS cause
    FROM catalogue.core.verdicts AS v
    JOIN catalogue.raw.captures AS c ON c.capture_no = v.capture_no
    WHERE v.verdict = 'accepted' AND c.scope_kind = 'catalogue'
    UNION ALL
    SELECT
        c.source, v.known_to AS recorded_at, c.snapshot_id, c.observed_at, 'retraction' AS cause
    FROM catalogue.core.verdicts AS v
    JOIN catalogue.raw.captures AS c ON c.capture_no = v.capture_no
    WHERE v.verdict = 'accepted' AND c.scope_kind = 'catalogue' AND v.known_to IS NOT NULL
),

-- how far the history reached before each commit
horizons AS (
    SELECT
        source,
        recorded_at,
        max(reached) OVER (
            PARTITION BY source ORDER BY recorded_at ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ) AS horizon
    FROM (SELECT source, recorded_at, max(observed_at) AS reached FROM turned GROUP BY source, recorded_at) AS commits
),

late AS (
    SELECT t.*, h.horizon
    FROM turned AS t
    JOIN horizons AS h ON h.source = t.source AND h.recorded_at = t.recorded_at
    WHERE t.observed_at <= h.horizon
),

late_commits AS (
    SELECT DISTINCT source, recorded_at, horizon
    FROM late
),

intervals AS (
    SELECT
        'listing' AS what, source, model_no, CAST(NULL AS VARCHAR) AS price_kind, CAST(NULL AS INTEGER) AS rule_no,
        CAST(NULL AS VARCHAR) AS price_text, CAST(NULL AS VARCHAR) AS meaning, listed_from AS valid_from,
        listed_to AS valid_to, last_seen_at, known_from, known_to
    FROM catalogue.core.spells
    UNION ALL
    SELECT
        'attributes' AS what, source, model_no, NULL AS price_kind, NULL AS rule_no, NULL AS price_text,
        CAST(state_no AS VARCHAR) AS meaning, valid_from, valid_to, last_seen_at, known_from, known_to
    FROM catalogue.core.state_intervals
    UNION ALL
    SELECT
        'price' AS what, source, model_no, price_kind, NULL AS rule_no, coalesce(price_text, price_status) AS price_text,
        price_status || CASE WHEN price_status = 'unreadable' THEN price_text ELSE coalesce(CAST(price_usd AS VARCHAR), '') END AS meaning, valid_from, valid_to,
        last_seen_at, known_from, known_to
    FROM catalogue.core.price_intervals
    UNION ALL
    SELECT
        'rule' AS what, source, model_no, price_kind, rule_no, price_text,
        concat_ws(
            '|', price_status, CASE WHEN price_status = 'unreadable' THEN price_text ELSE CAST(price_usd AS VARCHAR) END,
            coalesce(CAST(min_prompt_tokens AS VARCHAR), '-'), coalesce(CAST(utc_start AS VARCHAR), '-'),
            coalesce(CAST(utc_end AS VARCHAR), '-'), coalesce(CAST(utc_days AS VARCHAR), '-'),
            coalesce(CAST(unknown_conditions AS VARCHAR), '-')
        ) AS meaning,
        valid_from, valid_to, last_seen_at, known_from, known_to
    FROM catalogue.core.rule_intervals
),

-- ends beyond what was known are no news
former AS (
    SELECT
        i.*, c.recorded_at, c.horizon,
        CASE WHEN i.valid_to <= c.horizon THEN i.valid_to END AS known_end,
        CASE WHEN i.valid_to <= c.horizon THEN i.last_seen_at END AS known_last_sight
    FROM intervals AS i
    JOIN late_commits AS c ON c.source = i.source AND c.recorded_at = i.known_to
),

fresh AS (
    SELECT
        i.*, c.recorded_at, c.horizon,
        CASE WHEN i.valid_to <= c.horizon THEN i.valid_to END AS known_end,
        CASE WHEN i.valid_to <= c.horizon THEN i.last_seen_at END AS known_last_sight
    FROM intervals AS i
    JOIN late_commits AS c ON c.source = i.source AND c.recorded_at = i.known_from
    WHERE i.valid_from <= c.horizon
),

pairs AS (
    SELECT
        coalesce(f.recorded_at, n.recorded_at) AS recorded_at,
        coalesce(f.source, n.source) AS source,
        coalesce(f.model_no, n.model_no) AS model_no,
        coalesce(f.what, n.what) AS what,
        coalesce(f.price_kind, n.price_kind) AS price_kind,
        coalesce(f.rule_no, n.rule_no) AS rule_no,
        coalesce(f.valid_from, n.valid_from) AS valid_from,
        f.valid_to AS former_valid_to,
        n.valid_to AS valid_to,
        f.price_text AS former_value,
        n.price_text AS value,
        n.last_seen_at AS last_seen_at,
        CASE
            WHEN f.what IS NULL THEN 'appeared'
            WHEN n.what IS NULL THEN 'vanished'
            WHEN f.meaning IS DISTINCT FROM n.meaning THEN 'other_value'
            WHEN f.known_end IS DISTINCT FROM n.known_end THEN 'ends_otherwise'
            WHEN f.known_last_sight IS DISTINCT FROM n.known_last_sight THEN 'narrowed'
        END AS alteration
    FROM former AS f
    FULL JOIN fresh AS n
        ON n.recorded_at = f.recorded_at AND n.source = f.source AND n.model_no = f.model_no AND n.what = f.what
        AND n.price_kind IS NOT DISTINCT FROM f.price_kind AND n.rule_no IS NOT DISTINCT FROM f.rule_no
        AND n.valid_from = f.valid_from
),

altered AS (
    SELECT *, greatest(valid_from, former_valid_to, valid_to) AS last_moment
    FROM pairs
    WHERE alteration IS NOT NULL
),

-- the later bounds of an interval say more about the cause than the earlier ones
causes AS (
    SELECT
        a.recorded_at, a.source, a.model_no, a.what, a.price_kind, a.rule_no, a.valid_from,
        -- of two captures of one instant the one with the greater id, so that the answer stays
        max_by(
            l.snapshot_id,
            lpad(CAST(10000000000000000 + epoch_us(l.observed_at) + CASE
                WHEN l.observed_at = a.valid_to THEN 40000000000000000
                WHEN l.observed_at = a.last_seen_at THEN 30000000000000000
                WHEN l.observed_at = a.former_valid_to THEN 20000000000000000
                WHEN l.observed_at = a.valid_from THEN 10000000000000000
                WHEN l.observed_at <= a.last_moment THEN 0
                ELSE -10000000000000000
            END AS VARCHAR), 20, '0') || l.snapshot_id
        ) AS snapshot_id
    FROM altered AS a
    JOIN late AS l ON l.source = a.source AND l.recorded_at = a.recorded_at
    GROUP BY a.recorded_at, a.source, a.model_no, a.what, a.price_kind, a.rule_no, a.valid_from
)

SELECT
    a.recorded_at,
    a.source,
    m.model_id,
    a.what,
    a.price_kind,
    a.rule_no,
    a.alteration,
    a.valid_from,
    a.former_valid_to,
    a.valid_to,
    a.former_value,
    a.value,
    l.cause,
    l.snapshot_id,
    l.observed_at
FROM altered AS a
JOIN catalogue.core.model_ids AS m ON m.model_no = a.model_no
LEFT JOIN causes AS c
    ON c.recorded_at = a.recorded_at AND c.source = a.source AND c.model_no = a.model_no AND c.what = a.what
    AND c.price_kind IS NOT DISTINCT FROM a.price_kind AND c.rule_no IS NOT DISTINCT FROM a.rule_no
    AND c.valid_from = a.valid_from
LEFT JOIN late AS l ON l.source = c.source AND l.recorded_at = c.recorded_at AND l.snapshot_id = c.snapshot_id
