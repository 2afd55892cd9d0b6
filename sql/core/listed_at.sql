/*
meaning: Who was listed at an instant as it was known at another, and between which sights.
grain: a model listed at that instant, per source
reads: core.clocks, core.runs, core.versions, core.verdicts, raw.captures
macro: valid_at, known_at := NULL
columns:
  source: Where it was listed.
  model_no: The model's number within this file.
  state_no: What it was then.
  price_list_no: What it cost then.
  last_seen_at: The latest snapshot at or before the instant that lists it.
  next_seen_at: The first snapshot after the instant that lists it; null if there is none.
*/
WITH asked AS (
    SELECT *
    FROM catalogue.core.clocks(valid_at, known_at)
),

snapshots AS (
    SELECT
        c.source,
        max(CASE WHEN c.observed_at <= q.valid_at THEN c.observed_at END) AS text_before,
        min(CASE WHEN c.observed_at > q.valid_at THEN c.observed_at END) AS text_after,
        max(CASE WHEN c.observed_at <= q.valid_at AND c.lists_every_modality THEN c.observed_at END) AS all_before,
        min(CASE WHEN c.observed_at > q.valid_at AND c.lists_every_modality THEN c.observed_at END) AS all_after
    FROM catalogue.core.verdicts AS v
    JOIN asked AS q ON v.known_from <= q.known_at AND (v.known_to IS NULL OR v.known_to > q.known_at)
    JOIN catalogue.raw.captures AS c ON c.capture_no = v.capture_no
    WHERE v.verdict = 'accepted' AND c.scope_kind = 'catalogue'
    GROUP BY c.source
),

known_runs AS (
    SELECT
        r.*,
        q.valid_at
    FROM catalogue.core.runs AS r
    JOIN asked AS q ON r.known_from <= q.known_at AND (r.known_to IS NULL OR r.known_to > q.known_at)
),

next_runs AS (
    SELECT r.source, r.model_no, min(r.valid_from) AS next_run_from
    FROM known_runs AS r
    WHERE r.valid_from > r.valid_at
    GROUP BY r.source, r.model_no
),

covered_runs AS (
    SELECT
        r.*,
        s.text_before,
        s.all_before,
        CASE
            WHEN r.text_listed_from <= r.valid_at THEN s.text_after
            ELSE least(s.all_after, r.text_listed_from)
        END AS next_covered_at
    FROM known_runs AS r
    JOIN snapshots AS s ON s.source = r.source
    WHERE r.valid_from <= r.valid_at AND (r.valid_to IS NULL OR r.valid_to > r.valid_at)
)

SELECT
    r.source,
    r.model_no,
    v.state_no,
    v.price_list_no,
    CASE WHEN r.text_before >= r.text_listed_from THEN r.text_before ELSE greatest(r.valid_from, r.all_before) END
        AS last_seen_at,
    -- within the run the next snapshot that covers the model lists it; the next run begins with a sight of it
    CASE
        WHEN r.valid_to IS NULL OR r.next_covered_at <= r.last_seen_at THEN r.next_covered_at
        ELSE n.next_run_from
    END AS next_seen_at
FROM covered_runs AS r
JOIN catalogue.core.versions AS v ON v.version_no = r.version_no
LEFT JOIN next_runs AS n ON n.source = r.source AND n.model_no = r.model_no
