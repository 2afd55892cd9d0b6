/*
meaning: Offers that came, went and came back. An offer in the first answer about its model had come nobody knows when, and makes no event. Only an answer that lacks an offer withdraws it: no failed call does, nor a model's removal.
grain: an event of an offer, per source
reads: core.offer_spells, core.offer_ids, core.model_ids
columns:
  happened_at: The answer that shows it.
  last_seen_at: The last answer before that which was otherwise; null for `added`.
  source: Where it was offered, such as `openrouter`.
  model_id: The model's id, such as `author/name` or `author/name:free`.
  tag: What tells a provider's offers of a model apart, such as `novita/fp8`: provider, tier, region.
  twin_no: 1; where a model has several offers under one tag, their rank by price, the cheapest first.
  event: `added` (an earlier answer about the model lacks it), `withdrawn`, `returned`.
*/
WITH spells AS (
    SELECT
        s.source,
        m.model_id,
        o.tag,
        o.twin_no,
        s.spell_no,
        s.offered_from,
        s.offered_to,
        s.last_seen_at,
        s.is_left_censored,
        lag(s.last_seen_at) OVER (PARTITION BY s.source, s.offer_no ORDER BY s.spell_no) AS previous_last_seen_at
    FROM catalogue.core.offer_spells AS s
    JOIN catalogue.core.offer_ids AS o ON o.offer_no = s.offer_no
    JOIN catalogue.core.model_ids AS m ON m.model_no = s.model_no
    WHERE s.known_to IS NULL
)

SELECT
    offered_from AS happened_at,
    previous_last_seen_at AS last_seen_at,
    source,
    model_id,
    tag,
    twin_no,
    CASE WHEN spell_no = 1 THEN 'added' ELSE 'returned' END AS event
FROM spells
WHERE spell_no > 1 OR NOT is_left_censored
UNION ALL
SELECT
    offered_to AS happened_at,
    last_seen_at,
    source,
    model_id,
    tag,
    twin_no,
    'withdrawn' AS event
FROM spells
WHERE offered_to IS NOT NULL
