/*
meaning: Announced dates on which models are to go away, and what became of them.
grain: a model and one announcement of a date, per source
reads: core.state_intervals, core.states, core.model_summaries, core.accepted
columns:
  source: Where it was listed, such as `openrouter`.
  model_id: The model's id, such as `author/name` or `author/name:free`.
  author: The part of the id before the slash.
  expiration_date: The announced day.
  status: `announced` (still ahead, or today), `moved` (to another day), `withdrawn`, `passed_still_listed`, `removed` (the model went away with this date).
  is_placeholder: Whether the date is a sentinel that means no real date: 2098-12-31, 9999-01-01 and whatever else lies beyond 2090.
  announced_at: The first snapshot that shows the date.
  previous_expiration_date: The date that this one replaced; null if there was none.
  days_left: Days from the last snapshot's UTC day to the date; negative once it has passed.
  notice_days: Days from the announcement to the date.
  removed_at: The snapshot that first lacked the model, if the model went away with this date.
  removal: How the model last went away with this date: `before`, `on` or `after` the day, `unclear` if no capture within a day of it tells which; null while it is listed or if the date did not last.
  last_seen_at: The last snapshot that shows the model with this date.
  ended_at: The first snapshot that shows another date or none, or lacks the model for good; null while the date stands. An absence from which the model comes back ends no announcement.
  outlived_days: Days for which the model was still seen with this date after the day; null if it was not.
*/
WITH dates AS (
    SELECT
        i.source,
        i.model_no,
        i.valid_from,
        i.valid_to,
        i.last_seen_at,
        s.expiration_date,
        lag(s.expiration_date) OVER w AS previous_expiration_date,
        row_number() OVER w AS place
    FROM catalogue.core.state_intervals AS i
    JOIN catalogue.core.states AS s ON s.state_no = i.state_no
    WHERE i.known_to IS NULL
    WINDOW w AS (PARTITION BY i.source, i.model_no ORDER BY i.valid_from)
),

numbered AS (
    SELECT
        *,
        sum(CASE WHEN is_new THEN 1 ELSE 0 END) OVER (
            PARTITION BY source, model_no ORDER BY valid_from ROWS UNBOUNDED PRECEDING
        ) AS turn
    FROM (
        SELECT *, place = 1 OR expiration_date IS DISTINCT FROM previous_expiration_date AS is_new
        FROM dates
    ) AS compared
),

turns AS (
    SELECT
        source,
        model_no,
        min(expiration_date) AS expiration_date,
        min(CASE WHEN is_new THEN previous_expiration_date END) AS previous_expiration_date,
        min(valid_from) AS valid_from,
        CASE WHEN bool_or(valid_to IS NULL) THEN NULL ELSE max(last_seen_at) END AS last_seen_at,
        lead(min(expiration_date)) OVER w AS next_expiration_date,
        lead(min(valid_from)) OVER w AS next_turn_at
    FROM numbered
    GROUP BY source, model_no, turn
    WINDOW w AS (PARTITION BY source, model_no ORDER BY turn)
),

last_days AS (
    SELECT source, CAST(max(observed_at) AT TIME ZONE 'UTC' AS DATE) AS last_day
    FROM catalogue.core.accepted
    GROUP BY source
),

lives AS (
    SELECT
        t.*,
        m.model_id,
        m.author,
        d.last_day,
        coalesce(t.last_seen_at, m.last_seen_at) AS date_last_seen_at,
        CASE WHEN t.next_turn_at IS NULL THEN m.removed_at END AS removed_at,
        CAST(t.valid_from AT TIME ZONE 'UTC' AS DATE) AS announced_on,
        CAST(coalesce(t.last_seen_at, m.last_seen_at) AT TIME ZONE 'UTC' AS DATE) AS last_seen_on
    FROM turns AS t
    JOIN catalogue.core.model_summaries AS m ON m.source = t.source AND m.model_no = t.model_no
    JOIN last_days AS d ON d.source = t.source
    WHERE t.expiration_date IS NOT NULL
)

SELECT
    source,
    model_id,
    author,
    expiration_date,
    CASE
        WHEN next_turn_at IS NOT NULL AND next_expiration_date IS NULL THEN 'withdrawn'
        WHEN next_turn_at IS NOT NULL THEN 'moved'
        WHEN removed_at IS NOT NULL THEN 'removed'
        WHEN expiration_date < last_day THEN 'passed_still_listed'
        ELSE 'announced'
    END AS status,
    expiration_date >= DATE '2090-01-01' AS is_placeholder,
    valid_from AS announced_at,
    previous_expiration_date,
    expiration_date - last_day AS days_left,
    expiration_date - announced_on AS notice_days,
    removed_at,
    CASE
        WHEN removed_at IS NULL THEN NULL
        WHEN removed_at AT TIME ZONE 'UTC' <= CAST(expiration_date AS TIMESTAMP) THEN 'before'
        WHEN last_seen_on > expiration_date THEN 'after'
        WHEN expiration_date - last_seen_on <= 1 AND CAST(removed_at AT TIME ZONE 'UTC' AS DATE) - expiration_date <= 1
            THEN 'on'
        ELSE 'unclear'
    END AS removal,
    date_last_seen_at AS last_seen_at,
    coalesce(next_turn_at, removed_at) AS ended_at,
    CASE WHEN last_seen_on > expiration_date THEN last_seen_on - expiration_date END AS outlived_days
FROM lives
