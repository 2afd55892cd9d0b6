/*
meaning: The snapshots: accepted captures of listings, catalogues and facets.
grain: a snapshot
reads: core.verdicts, raw.captures, raw.provenance, core.listings
columns:
  snapshot_id: A hash of source, scope, observed_at and the bytes.
  source: Where it was captured.
  scope: What was asked: source, endpoint and parameters.
  scope_kind: `catalogue` claims to list everything of its kind, `facet` is a filter or ranking.
  origin: How it came: `live` or the archive; the first of several.
  observed_at: When the source said it (receipt less the age that the CDN gave).
  recorded_at: When this warehouse accepted it.
  model_count: Models that it lists.
  reported_count: Models that the answer says there are; null before 2026-07-13.
  sha256: Of the bytes.
  hours_since_previous: Hours since the snapshot of the same scope before; a gap shows here.
*/
SELECT
    c.snapshot_id,
    c.source,
    c.scope,
    c.scope_kind,
    p.origin,
    c.observed_at,
    v.known_from AS recorded_at,
    l.model_count,
    l.reported_count,
    c.sha256,
    CAST(
        epoch_us(c.observed_at) - lag(epoch_us(c.observed_at)) OVER (PARTITION BY c.scope ORDER BY c.observed_at) AS DOUBLE
    ) / 3600000000 AS hours_since_previous
FROM catalogue.core.verdicts AS v
JOIN catalogue.raw.captures AS c ON c.capture_no = v.capture_no
JOIN catalogue.core.listings AS l ON l.capture_no = c.capture_no
JOIN (
    SELECT capture_no, min(origin) AS origin
    FROM catalogue.raw.provenance
    GROUP BY capture_no
) AS p ON p.capture_no = c.capture_no
WHERE v.known_to IS NULL AND v.verdict = 'accepted'
