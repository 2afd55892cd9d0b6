/*
meaning: Changed attributes of models: empty forms are equal, arrays of strings are sets, links and benchmarks left out.
grain: a changed attribute at the beginning of an altered interval
reads: altered_intervals, fresh_state_intervals, core.states
*/
WITH pairs AS (
    SELECT
        i.source, i.model_no, i.valid_from AS changed_at, i.previous_last_seen_at AS last_seen_at, i.after_absence,
        o AS old, n AS new
    FROM fresh_state_intervals AS i
    JOIN altered_intervals AS a ON a.model_no = i.model_no AND a.valid_from = i.valid_from
    JOIN catalogue.core.states AS o ON o.state_no = i.previous_state_no
    JOIN catalogue.core.states AS n ON n.state_no = i.state_no
),

scalars AS (
    SELECT
        p.source, p.model_no, p.changed_at, p.last_seen_at, p.after_absence,
        unnest([
            {'attribute': 'alias_target', 'old_value': to_json(old.alias_target), 'new_value': to_json(new.alias_target)},
            {'attribute': 'name', 'old_value': to_json(old.name), 'new_value': to_json(new.name)},
            {'attribute': 'canonical_slug', 'old_value': to_json(old.canonical_slug), 'new_value': to_json(new.canonical_slug)},
            {'attribute': 'hugging_face_id', 'old_value': to_json(old.hugging_face_id), 'new_value': to_json(new.hugging_face_id)},
            {'attribute': 'created_at', 'old_value': to_json(strftime(old.created_at, '%Y-%m-%dT%H:%M:%SZ')), 'new_value': to_json(strftime(new.created_at, '%Y-%m-%dT%H:%M:%SZ'))},
            {'attribute': 'description', 'old_value': to_json(old.description), 'new_value': to_json(new.description)},
            {'attribute': 'context_length', 'old_value': to_json(old.context_length), 'new_value': to_json(new.context_length)},
            {'attribute': 'modality', 'old_value': to_json(old.modality), 'new_value': to_json(new.modality)},
            {'attribute': 'input_modalities', 'old_value': to_json(old.input_modalities), 'new_value': to_json(new.input_modalities)},
            {'attribute': 'output_modalities', 'old_value': to_json(old.output_modalities), 'new_value': to_json(new.output_modalities)},
            {'attribute': 'tokenizer', 'old_value': to_json(old.tokenizer), 'new_value': to_json(new.tokenizer)},
            {'attribute': 'instruct_type', 'old_value': to_json(old.instruct_type), 'new_value': to_json(new.instruct_type)},
            {'attribute': 'max_completion_tokens', 'old_value': to_json(old.max_completion_tokens), 'new_value': to_json(new.max_completion_tokens)},
            {'attribute': 'is_moderated', 'old_value': to_json(old.is_moderated), 'new_value': to_json(new.is_moderated)},
            {'attribute': 'supported_parameters', 'old_value': to_json(old.supported_parameters), 'new_value': to_json(new.supported_parameters)},
            {'attribute': 'default_parameters', 'old_value': old.default_parameters, 'new_value': new.default_parameters},
            {'attribute': 'expiration_date', 'old_value': to_json(old.expiration_date), 'new_value': to_json(new.expiration_date)},
            {'attribute': 'knowledge_cutoff', 'old_value': to_json(old.knowledge_cutoff), 'new_value': to_json(new.knowledge_cutoff)}
        ]) AS change
    FROM pairs AS p
),

extra_names AS (
    SELECT
        p.*,
        unnest(list_distinct(list_concat(json_keys(old.extra), json_keys(new.extra)))) AS attribute
    FROM pairs AS p
),

told AS (
    SELECT
        source, model_no, changed_at, last_seen_at, after_absence,
        change.attribute AS attribute, change.old_value AS old_value, change.new_value AS new_value
    FROM scalars
    WHERE change.old_value IS DISTINCT FROM change.new_value
    UNION ALL
    SELECT
        source, model_no, changed_at, last_seen_at, after_absence, attribute,
        CAST(old.extra AS MAP(VARCHAR, JSON))[attribute] AS old_value,
        CAST(new.extra AS MAP(VARCHAR, JSON))[attribute] AS new_value
    FROM extra_names
    WHERE attribute <> 'links'
),

-- a value that its column could not hold stands in `extra` under the column's name
joined AS (
    SELECT
        source, model_no, changed_at, last_seen_at, after_absence, attribute,
        max(nullif(CAST(old_value AS VARCHAR), 'null')) AS old_value,
        max(nullif(CAST(new_value AS VARCHAR), 'null')) AS new_value
    FROM told
    GROUP BY source, model_no, changed_at, last_seen_at, after_absence, attribute
),

weighed AS (
    SELECT
        *,
        CASE
            WHEN old_value IN ('""', '[]', '{}') THEN NULL
            WHEN json_structure(old_value) = '["VARCHAR"]'
                THEN CAST(list_sort(list_distinct(json_extract(old_value, '$[*]'))) AS VARCHAR)
            ELSE old_value
        END AS old_meaning,
        CASE
            WHEN new_value IN ('""', '[]', '{}') THEN NULL
            WHEN json_structure(new_value) = '["VARCHAR"]'
                THEN CAST(list_sort(list_distinct(json_extract(new_value, '$[*]'))) AS VARCHAR)
            ELSE new_value
        END AS new_meaning
    FROM joined
    WHERE old_value IS DISTINCT FROM new_value
)

SELECT
    source,
    model_no,
    attribute,
    changed_at,
    last_seen_at,
    CAST(old_value AS JSON) AS old_value,
    CAST(new_value AS JSON) AS new_value,
    after_absence
FROM weighed
WHERE old_meaning IS DISTINCT FROM new_meaning
