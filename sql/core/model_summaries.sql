/*
meaning: The life of every model that was ever listed.
grain: a model, per source
reads: core.spells, core.runs, core.open_runs, core.versions, core.states
columns:
  source: Where the model was listed.
  model_no: The model's number within this file.
  model_id: The model's id.
  name: The last name it had.
  author: The part of the id before the slash.
  first_seen_at: The first snapshot that listed it.
  last_seen_at: The last snapshot that listed it.
  removed_at: The first snapshot that lacked it after that; null while it is listed.
  was_added: Whether a snapshot before the first sight would have listed it.
  first_version_no: The version first seen.
  last_version_no: The version last seen.
*/
WITH lives AS (
    SELECT
        source,
        model_no,
        min(listed_from) AS first_seen_at,
        max(last_seen_at) AS last_seen_at,
        CASE WHEN bool_or(listed_to IS NULL) THEN NULL ELSE max(listed_to) END AS removed_at,
        NOT bool_or(is_left_censored) AS was_added
    FROM catalogue.core.spells
    WHERE known_to IS NULL
    GROUP BY source, model_no
),

versions AS (
    SELECT
        source, model_no, min_by(version_no, valid_from) AS first_version_no, max_by(version_no, valid_from) AS last_version_no
    FROM catalogue.core.runs
    WHERE known_to IS NULL
    GROUP BY source, model_no
)

SELECT
    l.source,
    l.model_no,
    s.model_id,
    s.name,
    s.author,
    l.first_seen_at,
    CASE WHEN l.removed_at IS NULL THEN o.last_seen_at ELSE l.last_seen_at END AS last_seen_at,
    l.removed_at,
    l.was_added,
    v.first_version_no,
    v.last_version_no
FROM lives AS l
JOIN versions AS v ON v.source = l.source AND v.model_no = l.model_no
JOIN catalogue.core.versions AS last_version ON last_version.version_no = v.last_version_no
JOIN catalogue.core.states AS s ON s.state_no = last_version.state_no
LEFT JOIN catalogue.core.open_runs AS o ON o.source = l.source AND o.model_no = l.model_no
