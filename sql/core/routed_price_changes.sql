/*
meaning: Changes of a model's headline price that another offer's unchanged price explains: some offer cost the new
    headline before and after the change, and none went from the old headline to the new one meanwhile. An offer's clock
    may move its price within its schedule; that is no change. What was captured of offers must bracket the change: a
    price counts as unchanged only from an answer at or before the last sight of the old headline to one at or after the
    first sight of the new one.
grain: a change of one headline price
reads: core.price_changes, core.offer_price_intervals, core.offer_price_changes, core.offer_spells, core.last_answers
columns:
  source: Where the model was listed.
  model_no: The model's number within this file.
  price_kind: What is paid for.
  changed_at: The first snapshot with the new value.
*/
WITH intervals AS (
    SELECT
        i.source, i.model_no, i.offer_no, i.price_kind, i.price_status, i.valid_from, i.valid_to,
        coalesce(CAST(i.price_usd AS VARCHAR), i.price_text) AS worth,
        coalesce(i.last_seen_at, a.last_seen_at) AS last_seen_at,
        lag(i.last_seen_at) OVER w AS previous_last_seen_at,
        sum(CASE WHEN c.is_schedule_flip AND NOT c.after_absence THEN 0 ELSE 1 END) OVER w AS chain
    FROM catalogue.core.offer_price_intervals AS i
    LEFT JOIN catalogue.core.offer_price_changes AS c
        ON c.source = i.source AND c.offer_no = i.offer_no AND c.price_kind = i.price_kind
        AND c.changed_at = i.valid_from AND c.known_to IS NULL
    JOIN catalogue.core.last_answers AS a ON a.source = i.source AND a.topic = 'offers' AND a.model_no = i.model_no
    WHERE i.known_to IS NULL
    WINDOW w AS (PARTITION BY i.source, i.offer_no, i.price_kind ORDER BY i.valid_from ROWS UNBOUNDED PRECEDING)
),

-- how long an offer's price list gave a price, whatever the clock made of it
unchanged AS (
    SELECT
        *,
        min(valid_from) OVER w AS unchanged_from,
        max(last_seen_at) OVER w AS unchanged_until
    FROM intervals
    WINDOW w AS (PARTITION BY source, offer_no, price_kind, chain)
),

changes AS (
    SELECT
        source, model_no, price_kind, changed_at, last_seen_at, new_price_text IS NULL AS is_unlisted,
        coalesce(CAST(old_price_usd AS VARCHAR), old_price_text, 'unlisted') AS old_worth,
        coalesce(CAST(new_price_usd AS VARCHAR), new_price_text, 'unlisted') AS new_worth
    FROM catalogue.core.price_changes
    WHERE known_to IS NULL AND NOT is_schedule_flip
),

costing AS (
    SELECT c.source, c.model_no, c.price_kind, c.changed_at
    FROM changes AS c
    JOIN unchanged AS u
        ON u.source = c.source AND u.model_no = c.model_no AND u.price_kind = c.price_kind AND u.worth = c.new_worth
    WHERE
        u.unchanged_from <= c.last_seen_at AND u.unchanged_until >= c.changed_at
        AND (u.previous_last_seen_at IS NULL OR u.previous_last_seen_at < c.changed_at)
        AND (u.valid_to IS NULL OR u.valid_to > c.last_seen_at)
),

lacking AS (
    SELECT c.source, c.model_no, c.price_kind, c.changed_at
    FROM changes AS c
    JOIN catalogue.core.offer_spells AS s ON s.source = c.source AND s.model_no = c.model_no AND s.known_to IS NULL
    JOIN catalogue.core.last_answers AS a ON a.source = c.source AND a.topic = 'offers' AND a.model_no = c.model_no
    WHERE
        c.is_unlisted AND s.offered_from <= c.last_seen_at
        AND coalesce(s.last_seen_at, a.last_seen_at) >= c.changed_at
        AND NOT EXISTS (
            SELECT 1
            FROM intervals AS i
            WHERE
                i.source = c.source AND i.offer_no = s.offer_no AND i.price_kind = c.price_kind
                AND i.price_status <> 'unlisted' AND (i.valid_to IS NULL OR i.valid_to > c.last_seen_at)
                AND (i.valid_from <= c.changed_at OR i.previous_last_seen_at < c.changed_at)
        )
),

-- both changes happened after a last sight and by a first one; where these stretches meet they may be one change
repriced AS (
    SELECT c.source, c.model_no, c.price_kind, c.changed_at
    FROM changes AS c
    JOIN catalogue.core.offer_price_changes AS o
        ON o.source = c.source AND o.model_no = c.model_no AND o.price_kind = c.price_kind
        AND coalesce(CAST(o.old_price_usd AS VARCHAR), o.old_price_text, 'unlisted') = c.old_worth
        AND coalesce(CAST(o.new_price_usd AS VARCHAR), o.new_price_text, 'unlisted') = c.new_worth
    WHERE
        o.known_to IS NULL AND NOT o.is_schedule_flip
        AND o.changed_at > c.last_seen_at AND o.last_seen_at < c.changed_at
),

explained AS (
    SELECT source, model_no, price_kind, changed_at
    FROM costing
    UNION
    SELECT source, model_no, price_kind, changed_at
    FROM lacking
)

SELECT e.source, e.model_no, e.price_kind, e.changed_at
FROM explained AS e
LEFT JOIN repriced AS r
    ON r.source = e.source AND r.model_no = e.model_no AND r.price_kind = e.price_kind AND r.changed_at = e.changed_at
WHERE r.model_no IS NULL
