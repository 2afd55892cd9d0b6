/*
meaning: Announced dates on which models are to go away, and what became of them.
grain: a model and one announcement of a date, per source
reads: core.state_intervals, core.states, core.model_summaries, core.accepted
columns:
  source: Where it was listed, such as `openrouter`.
  model_id: The model's id, such as `author/name` or `author/name:free`.
  expiration_date: The announced day.
  status: `announced` (still ahead, or today), `moved` (to another day), `withdrawn`, `passed_still_listed`, `removed` (the model went away with this date).
  is_placeholder: Whether the date is a sentinel that means no real date: 2098-12-31, 9999-01-01 and whatever else lies beyond 2090.
  announced_at: The first snapshot that shows the date.
  previous_expiration_date: The date that this one replaced; null if there was none.
  days_left: Days from the last snapshot's UTC day to the date; negative once it has passed.
  notice_days: Days from the announcement to the date.
  removed_at: The snapshot that first lacked the model, if the model went away with this date.
*/
WITH dates AS (
    SELECT
        i.source,
        i.model_no,
        i.valid_from,
        s.expiration_date,
        lag(s.expiration_date) OVER w AS previous_expiration_date,
        row_number() OVER w AS place
    FROM catalogue.core.state_intervals AS i
    JOIN catalogue.core.states AS s ON s.state_no = i.state_no
    WHERE i.known_to IS NULL
    WINDOW w AS (PARTITION BY i.source, i.model_no ORDER BY i.valid_from)
),

turns AS (
    SELECT
        *,
        lead(expiration_date) OVER w AS next_expiration_date,
        lead(valid_from) OVER w AS next_turn_at
    FROM dates
    WHERE place = 1 OR expiration_date IS DISTINCT FROM previous_expiration_date
    WINDOW w AS (PARTITION BY source, model_no ORDER BY valid_from)
),

last_days AS (
    SELECT source, CAST(max(observed_at) AT TIME ZONE 'UTC' AS DATE) AS last_day
    FROM catalogue.core.accepted
    GROUP BY source
)

SELECT
    t.source,
    m.model_id,
    t.expiration_date,
    CASE
        WHEN t.next_turn_at IS NOT NULL AND t.next_expiration_date IS NULL THEN 'withdrawn'
        WHEN t.next_turn_at IS NOT NULL THEN 'moved'
        WHEN m.removed_at IS NOT NULL THEN 'removed'
        WHEN t.expiration_date < d.last_day THEN 'passed_still_listed'
        ELSE 'announced'
    END AS status,
    t.expiration_date >= DATE '2090-01-01' AS is_placeholder,
    t.valid_from AS announced_at,
    t.previous_expiration_date,
    t.expiration_date - d.last_day AS days_left,
    t.expiration_date - CAST(t.valid_from AT TIME ZONE 'UTC' AS DATE) AS notice_days,
    CASE WHEN t.next_turn_at IS NULL THEN m.removed_at END AS removed_at
FROM turns AS t
JOIN catalogue.core.model_summaries AS m ON m.source = t.source AND m.model_no = t.model_no
JOIN last_days AS d ON d.source = t.source
WHERE t.expiration_date IS NOT NULL
