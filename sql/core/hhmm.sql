/*
meaning: The time of day of an instant in UTC, whatever the reader's time zone, as the number that a clock shows: 1305.
grain: a number
function: moment
*/
extract('hour' FROM moment AT TIME ZONE 'UTC') * 100 + extract('minute' FROM moment AT TIME ZONE 'UTC')
