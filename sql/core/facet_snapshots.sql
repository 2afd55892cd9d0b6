/*
meaning: The snapshots that make the history of facets.
grain: an accepted capture of a facet
reads: core.facet_listings, core.verdicts
columns:
  source: Where it was captured.
  facet: What was asked for, such as `zdr=true`.
  is_ranking: Whether its order ranks the models.
  capture_no: The capture's number within this file.
  observed_at: When the source said it.
  facet_list_no: What it lists.
*/
SELECT
    l.source,
    l.facet,
    l.is_ranking,
    l.capture_no,
    l.observed_at,
    l.facet_list_no
FROM catalogue.core.facet_listings AS l
JOIN catalogue.core.verdicts AS v ON v.capture_no = l.capture_no
WHERE v.known_to IS NULL AND v.verdict = 'accepted'
