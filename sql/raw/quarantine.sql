/*
meaning: Captures that make no history because something about them is suspicious, or because a person rejected them.
grain: a capture
reads: core.verdicts, raw.captures, core.decisions
columns:
  snapshot_id: The capture's identity.
  source: Where it was captured.
  scope: What was asked.
  observed_at: When the source said it.
  verdict: `quarantined` until a person decides, `rejected` after a person did.
  reasons: Why, in words.
  decision_reason: What the person who decided said.
  recorded_at: When this warehouse came to this verdict.
  sha256: Of the bytes.
  size_bytes: Of the bytes.
  pack: Where the bytes lie below `raw/`.
*/
SELECT
    c.snapshot_id,
    c.source,
    c.scope,
    c.observed_at,
    v.verdict,
    v.reasons,
    d.reason AS decision_reason,
    v.known_from AS recorded_at,
    c.sha256,
    c.size_bytes,
    c.pack
FROM catalogue.core.verdicts AS v
JOIN catalogue.raw.captures AS c ON c.capture_no = v.capture_no
LEFT JOIN (
    SELECT snapshot_id, max_by(reason, recorded_at) AS reason
    FROM catalogue.core.decisions
    GROUP BY snapshot_id
) AS d ON d.snapshot_id = c.snapshot_id
WHERE v.known_to IS NULL AND v.verdict IN ('quarantined', 'rejected')
