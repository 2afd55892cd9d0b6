/*
meaning: Fields, price keys, rule conditions and modalities that the API's description does not name.
grain: an unknown field, at its first sight, per source
reads: core.unknown_fields, core.runs, core.accepted, core.accepted_answers
columns:
  source: Where it was seen.
  first_seen_at: The first snapshot that has it.
  path: Where it stands: a dotted path in the model, `[]` for an item of a list, `[name]` for a value, `$.` for a field beside the list of models. What stands in an answer about offers begins with `endpoints[]` (`$.data` beside them), what stands in one about providers with `providers[]`.
  json_type: object, array, string, number, boolean or null.
  example: A value, JSON, cut after 200 characters.
*/
WITH sights AS (
    SELECT r.source, r.valid_from AS seen_at, f.path, f.json_type, f.example, r.model_no
    FROM catalogue.core.unknown_fields AS f
    JOIN catalogue.core.runs AS r ON r.version_no = f.version_no
    WHERE r.known_to IS NULL
    UNION ALL
    SELECT a.source, a.observed_at AS seen_at, f.path, f.json_type, f.example, 0 AS model_no
    FROM catalogue.core.unknown_fields AS f
    JOIN catalogue.core.accepted AS a ON a.capture_no = f.capture_no
    UNION ALL
    SELECT a.source, a.observed_at AS seen_at, f.path, f.json_type, f.example, a.model_no
    FROM catalogue.core.unknown_fields AS f
    JOIN catalogue.core.accepted_answers AS a ON a.capture_no = f.capture_no
),

ranked AS (
    SELECT
        *,
        row_number() OVER (PARTITION BY source, path ORDER BY seen_at, json_type, example) AS place
    FROM sights
)

SELECT
    source,
    seen_at AS first_seen_at,
    path,
    json_type,
    example
FROM ranked
WHERE place = 1
