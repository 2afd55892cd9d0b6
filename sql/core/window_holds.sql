/*
meaning: Whether a rule's times hold at an instant: a half-open daily window in UTC that may wrap midnight, and weekdays.
grain: true or false
function: utc_start, utc_end, utc_days, moment
*/
(utc_days IS NULL OR len(utc_days) = 0 OR list_contains(utc_days, lower(dayname(moment))))
AND CASE
    WHEN coalesce(utc_start, 0) <= coalesce(utc_end, 2400)
        THEN
            extract('hour' FROM moment) * 100 + extract('minute' FROM moment) >= coalesce(utc_start, 0)
            AND extract('hour' FROM moment) * 100 + extract('minute' FROM moment) < coalesce(utc_end, 2400)
    ELSE
        extract('hour' FROM moment) * 100 + extract('minute' FROM moment) >= utc_start
        OR extract('hour' FROM moment) * 100 + extract('minute' FROM moment) < utc_end
END
