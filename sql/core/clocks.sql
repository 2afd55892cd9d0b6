/*
meaning: The two clocks of a question: an instant, and when it was known. Whatever is known later than this file was written cannot be in it, so such a question is refused: its answer would not stay.
grain: the question
reads: core.commits
macro: valid_at, known_at := NULL
columns:
  valid_at: The instant that is asked about.
  known_at: As it was known then; by default at the last commit.
*/
SELECT
    asked.valid_at,
    CASE
        WHEN asked.known_at > known.until
            THEN CAST(error(
                'known_at ' || CAST(asked.known_at AS VARCHAR)
                || ' is later than all that this warehouse knows, which ends at ' || CAST(known.until AS VARCHAR)
            ) AS TIMESTAMPTZ)
        ELSE coalesce(asked.known_at, known.until)
    END AS known_at
FROM (SELECT CAST(valid_at AS TIMESTAMPTZ) AS valid_at, CAST(known_at AS TIMESTAMPTZ) AS known_at) AS asked
CROSS JOIN (SELECT max(recorded_at) AS until FROM catalogue.core.commits) AS known
