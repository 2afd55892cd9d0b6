/*
meaning: Which model each name of a usage log stands for: the id itself, or else the model of a canonical slug (also with a variant behind a colon). Of several models of one slug the one without a variant counts, of these the one listed last, and of these the first by its id.
grain: a name in the usage log that stands for a model
reads: core.clocks, core.runs, core.model_ids, core.state_intervals, core.states
builds on: usage_names
columns:
  name_no: The name's number.
  model_no: The model's number within the published file.
  model_id: The model's id.
*/
WITH asked AS (
    SELECT *
    FROM catalogue.core.clocks(NULL, $known_at)
),

known AS (
    SELECT DISTINCT m.model_no, m.model_id
    FROM catalogue.core.runs AS r
    JOIN asked AS q ON r.known_from <= q.known_at AND (r.known_to IS NULL OR r.known_to > q.known_at)
    JOIN catalogue.core.model_ids AS m ON m.model_no = r.model_no
    WHERE r.source = $source
),

slugged AS (
    SELECT
        s.canonical_slug, s.variant, k.model_no, k.model_id, max(coalesce(i.valid_to, TIMESTAMPTZ 'infinity')) AS until
    FROM catalogue.core.state_intervals AS i
    JOIN asked AS q ON i.known_from <= q.known_at AND (i.known_to IS NULL OR i.known_to > q.known_at)
    JOIN catalogue.core.states AS s ON s.state_no = i.state_no
    JOIN known AS k ON k.model_no = i.model_no
    WHERE i.source = $source AND s.canonical_slug IS NOT NULL
    GROUP BY s.canonical_slug, s.variant, k.model_no, k.model_id
),

candidates AS (
    SELECT n.name_no, k.model_no, k.model_id, 0 AS rank, TIMESTAMPTZ 'infinity' AS until
    FROM usage_names AS n
    JOIN known AS k ON k.model_id = n.priced_as
    UNION ALL
    SELECT n.name_no, s.model_no, s.model_id, CASE WHEN s.variant IS NULL THEN 1 ELSE 2 END AS rank, s.until
    FROM usage_names AS n
    JOIN slugged AS s ON s.canonical_slug = n.priced_as
    UNION ALL
    SELECT n.name_no, s.model_no, s.model_id, 1 AS rank, s.until
    FROM usage_names AS n
    JOIN slugged AS s ON s.canonical_slug || ':' || s.variant = n.priced_as
)

SELECT name_no, model_no, model_id
FROM (
    SELECT
        name_no, model_no, model_id,
        row_number() OVER (PARTITION BY name_no ORDER BY rank, until DESC, model_id) AS place
    FROM candidates
) AS ranked
WHERE place = 1
