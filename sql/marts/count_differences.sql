/*
meaning: Counts that disagree with the list. `/models/count` is cached apart from it, so for a while each may be right. A count is held against the snapshot of all modalities that is nearest in time, if it is within an hour; of several that are held against one snapshot the last is believed.
grain: a count of the models with an output modality that is not as many as were listed
reads: core.accepted, core.counts, core.state_intervals, core.states
columns:
  source: Where both were captured.
  output_modality: What the counted models put out, such as `text` or `image`; `all` for every model.
  counted_at: When the count was captured.
  counted: Models by the count.
  listed: Models by the list.
  difference: counted less listed.
  list_seen_at: The snapshot that the count is held against.
*/
WITH moments AS (
    SELECT source, observed_at AS moment, observed_at AS seen_at
    FROM catalogue.core.accepted
    WHERE lists_every_modality
    UNION ALL
    SELECT DISTINCT source, observed_at, CAST(NULL AS TIMESTAMPTZ)
    FROM catalogue.core.counts
),

around AS (
    SELECT
        source, moment, seen_at,
        max(seen_at) OVER (PARTITION BY source ORDER BY moment) AS before_at,
        min(seen_at) OVER (PARTITION BY source ORDER BY moment DESC) AS after_at
    FROM moments
),

nearest AS (
    SELECT
        source, moment,
        CASE
            WHEN after_at IS NULL OR moment - before_at <= after_at - moment THEN before_at
            ELSE after_at
        END AS list_seen_at
    FROM around
    WHERE seen_at IS NULL
),

held AS (
    SELECT
        c.source, c.output_modality, c.observed_at AS counted_at, c.counted, n.list_seen_at,
        row_number() OVER (
            PARTITION BY c.source, c.output_modality, n.list_seen_at ORDER BY c.observed_at DESC, c.counted DESC
        ) AS age
    FROM catalogue.core.counts AS c
    JOIN nearest AS n ON n.source = c.source AND n.moment = c.observed_at
    WHERE
        c.counted IS NOT NULL AND NOT contains(c.output_modality, ',')
        AND n.list_seen_at BETWEEN c.observed_at - INTERVAL '1' HOUR AND c.observed_at + INTERVAL '1' HOUR
),

counts AS (
    SELECT source, output_modality, counted_at, counted, list_seen_at
    FROM held
    WHERE age = 1
),

listed AS (
    SELECT
        i.source, i.valid_from, i.valid_to,
        unnest(list_concat(
            ['all'],
            list_distinct(coalesce(s.output_modalities, string_split(split_part(s.modality, '->', 2), '+')))
        )) AS output_modality
    FROM catalogue.core.state_intervals AS i
    JOIN catalogue.core.states AS s ON s.state_no = i.state_no
    WHERE i.known_to IS NULL AND i.source IN (SELECT source FROM counts)
),

steps AS (
    SELECT
        source, output_modality, valid_from AS moment, 1 AS step, CAST(NULL AS TIMESTAMPTZ) AS counted_at,
        CAST(NULL AS BIGINT) AS counted
    FROM listed
    UNION ALL
    SELECT source, output_modality, valid_to, -1, NULL, NULL
    FROM listed
    WHERE valid_to IS NOT NULL
    UNION ALL
    SELECT source, output_modality, list_seen_at, 0, counted_at, counted
    FROM counts
),

told AS (
    SELECT *, sum(step) OVER (PARTITION BY source, output_modality ORDER BY moment) AS listed
    FROM steps
)

SELECT
    source,
    output_modality,
    counted_at,
    counted,
    CAST(listed AS BIGINT) AS listed,
    counted - CAST(listed AS BIGINT) AS difference,
    moment AS list_seen_at
FROM told
WHERE counted_at IS NOT NULL AND counted <> listed
