/*
meaning: Whether a rule's times hold at an instant: a half-open daily window in UTC that may wrap midnight, and weekdays.
grain: true or false
reads: core.hhmm
function: utc_start, utc_end, utc_days, moment
*/
(utc_days IS NULL OR len(utc_days) = 0 OR list_contains(utc_days, lower(dayname(moment AT TIME ZONE 'UTC'))))
AND CASE
    WHEN coalesce(utc_start, 0) <= coalesce(utc_end, 2400)
        THEN
            catalogue.core.hhmm(moment) >= coalesce(utc_start, 0)
            AND catalogue.core.hhmm(moment) < coalesce(utc_end, 2400)
    ELSE catalogue.core.hhmm(moment) >= utc_start OR catalogue.core.hhmm(moment) < utc_end
END
