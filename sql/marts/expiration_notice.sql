/*
meaning: How the authors of models give notice: what became of the dates that they announced, and who went without any. Placeholders are no announcements.
grain: an author with an announced date or a model that was removed, per source
reads: marts.expirations, core.model_summaries
columns:
  source: Where the models are or were listed, such as `openrouter`.
  author: The part of a model's id before the slash.
  announcements: Dates announced, each change of a date being another.
  models_announced: Models for which any date was announced.
  announced: Dates that still stand and lie ahead, or today.
  moved: Dates that were replaced by another.
  withdrawn: Dates that were taken back.
  outlived: Dates after whose day the model was still seen.
  removed_before: Models that went away before the day.
  removed_on: Models that went away on the day.
  removed_after: Models that went away after the day.
  removed_unclear: Models of which no capture tells whether they went before, on or after it.
  least_notice_days: The least number of days from an announcement to its date.
  median_notice_days: The median of these; of two in the middle the smaller.
  models_removed: Models not listed now.
  removed_without_notice: Those of them that had no date when last seen.
*/
WITH dates AS (
    SELECT
        *,
        row_number() OVER w AS place,
        count(*) OVER (PARTITION BY source, author) AS dates
    FROM catalogue.marts.expirations
    WHERE NOT is_placeholder
    WINDOW w AS (PARTITION BY source, author ORDER BY notice_days, model_id, announced_at)
),

announced AS (
    SELECT
        source,
        author,
        count(*) AS announcements,
        count(DISTINCT model_id) AS models_announced,
        count(CASE WHEN status = 'announced' THEN 1 END) AS announced,
        count(CASE WHEN status = 'moved' THEN 1 END) AS moved,
        count(CASE WHEN status = 'withdrawn' THEN 1 END) AS withdrawn,
        count(outlived_days) AS outlived,
        count(CASE WHEN removal = 'before' THEN 1 END) AS removed_before,
        count(CASE WHEN removal = 'on' THEN 1 END) AS removed_on,
        count(CASE WHEN removal = 'after' THEN 1 END) AS removed_after,
        count(CASE WHEN removal = 'unclear' THEN 1 END) AS removed_unclear,
        min(notice_days) AS least_notice_days,
        min(CASE WHEN place * 2 >= dates THEN notice_days END) AS median_notice_days
    FROM dates
    GROUP BY source, author
),

removed AS (
    SELECT
        m.source,
        m.author,
        count(*) AS models_removed,
        count(CASE WHEN d.model_id IS NULL THEN 1 END) AS removed_without_notice
    FROM catalogue.core.model_summaries AS m
    LEFT JOIN dates AS d ON d.source = m.source AND d.model_id = m.model_id AND d.status = 'removed'
    WHERE m.removed_at IS NOT NULL
    GROUP BY m.source, m.author
)

SELECT
    coalesce(a.source, r.source) AS source,
    coalesce(a.author, r.author) AS author,
    coalesce(a.announcements, 0) AS announcements,
    coalesce(a.models_announced, 0) AS models_announced,
    coalesce(a.announced, 0) AS announced,
    coalesce(a.moved, 0) AS moved,
    coalesce(a.withdrawn, 0) AS withdrawn,
    coalesce(a.outlived, 0) AS outlived,
    coalesce(a.removed_before, 0) AS removed_before,
    coalesce(a.removed_on, 0) AS removed_on,
    coalesce(a.removed_after, 0) AS removed_after,
    coalesce(a.removed_unclear, 0) AS removed_unclear,
    a.least_notice_days,
    a.median_notice_days,
    coalesce(r.models_removed, 0) AS models_removed,
    coalesce(r.removed_without_notice, 0) AS removed_without_notice
FROM announced AS a
FULL JOIN removed AS r ON r.source = a.source AND r.author = a.author
