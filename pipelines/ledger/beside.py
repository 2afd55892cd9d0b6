"""Two listings of one scope beside each other: who is new in the later one, and who is gone.

Belongs here: the question, which the ledger and the published file answer alike.
Does not belong here: what a listing that lacks much means (`judgement`).
"""

from __future__ import annotations

BESIDE = """
WITH pair AS (
    SELECT c.capture_no AS this_no, max_by(p.capture_no, p.observed_at) AS other_no, max(p.observed_at) AS observed_at
    FROM raw.captures AS c
    JOIN core.listings AS l ON l.capture_no = c.capture_no AND l.keyframe_no IS NOT NULL
    JOIN raw.captures AS p ON p.scope = c.scope AND p.observed_at < c.observed_at
    JOIN core.verdicts AS v ON v.capture_no = p.capture_no AND v.known_to IS NULL AND v.verdict = 'accepted'
    WHERE c.snapshot_id = ?
    GROUP BY c.capture_no
), listed AS (
    SELECT l.capture_no, o.model_no, pair.this_no, pair.observed_at
    FROM pair
    JOIN core.listings AS l ON l.capture_no IN (pair.this_no, pair.other_no)
    JOIN core.observations AS o ON o.keyframe_no = l.keyframe_no AND o.capture_no <= l.capture_no
    GROUP BY l.capture_no, o.model_no, pair.this_no, pair.observed_at
    HAVING max_by(o.version_no IS NOT NULL, o.capture_no)
)
SELECT m.model_id, CASE WHEN min(l.capture_no = l.this_no) THEN 'new' ELSE 'gone' END AS change, l.observed_at
FROM listed AS l
JOIN core.model_ids AS m ON m.model_no = l.model_no
GROUP BY m.model_id, l.observed_at
HAVING count(*) = 1
ORDER BY m.model_id
"""
"""What the capture $1 lists that the snapshot before it lacks, and the other way round: model_id, change, since when.

``change`` is `new` or `gone`. Nothing if it lists nothing, or if there is none before it.
"""
