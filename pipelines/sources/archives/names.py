"""What a file's name says: whether the file is a capture, and when it was observed.

Belongs here: the spelling of names and of the times in them. Does not belong here: opening anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from urllib.parse import unquote

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SUFFIX = re.compile(r"\.json(\.(gz|bz2|xz|zst))?$", re.IGNORECASE)

# One pattern reads every spelling, across folders too: 2026-08-05T03:15:28Z, 20260805_031528, 20260805031528,
# 2026/08/05/03, 2026-08-05/models-0315. Between date and time words may stand only where at least hour and
# minute follow, for a lone `-02` after a word is more often a part than an hour.
# A time must end cleanly, so that `2026-08-05-1234abcd` (a date and a hash) is a date and no time.
_DATE_AND_TIME = re.compile(
    r"""
    (?<!\d)
    (?P<year>20\d\d) (?P<dash>[-_./]?) (?P<month>\d\d) (?P=dash) (?P<day>\d\d)
    (?:
        (?: (?<=\d{8})(?=(?:\d{4}|\d{6})(?!\d))          # nothing: 12 or 14 digits in a row
          | [ _.@/-]{0,3}T | [ _.@/-]{1,3}
          | (?P<words>\D*[^\dA-Za-z])
        )
        (?! 20\d\d(?P<other>[-_./]?)\d\d(?P=other)\d\d ) # a second date is not the time of the first
        (?P<hour>\d\d)
        (?:
            (?P<colon>[-_.:/]?) (?P<minute>\d\d)
            (?: (?P=colon) (?P<second>\d\d) (?: (?:[.,](?P<fraction>\d{1,9})) | [_-](?P<micros>\d{6}) )? )?
        )?
        (?: [ _]? (?: Z | UTC | GMT
              | (?P<sign>[+-]) (?P<zone_hour>0\d|1[0-4]) (?: [:_-]?(?P<zone_minute>00|15|30|45) )? ) )?
        (?: (?=id_) | (?![0-9A-Za-z:+]) )                # id_: how the Wayback Machine marks untouched bytes
    )?
    (?! [T:]?\d | [ _]\d\d: )
    """,
    re.VERBOSE | re.IGNORECASE,
)

# Ten digits are an epoch only until 2033, where they begin to look like a date and an hour (2026080503).
_UNIX_TIME = re.compile(r"(?<![^\W_])(?:(?P<seconds>1\d{9})(?:\.(?P<fraction>\d{1,9}))?|(?P<millis>1\d{12}))(?![^\W_])")


def is_capture(name: str) -> bool:
    """Whether the path ``name`` is taken for a capture: ``.json``, perhaps compressed, and nowhere hidden."""
    parts = _slashed(name).split("/")
    hidden = any(part == "__MACOSX" or (part.startswith(".") and part not in (".", "..")) for part in parts)
    return not hidden and _SUFFIX.search(parts[-1]) is not None


def compression_named(name: str) -> str | None:
    """The compression that the suffix of ``name`` announces: ``gz``, ``bz2``, ``xz``, ``zst`` or none."""
    found = re.search(r"\.(gz|bz2|xz|zst)$", name, re.IGNORECASE)
    return found[1].lower() if found else None


def time_in(name: str) -> datetime | None:
    """The time that the path ``name`` spells, in UTC; None where it spells none.

    ISO 8601 with any usual separators, down to nine decimals (cut to microseconds), spread over folders or
    not; a date alone is midnight; unix seconds and milliseconds (2001 to 2033). Without an offset a time is
    UTC. Of several times the one that begins deepest in the path counts, so the file's own before its
    folder's; there the most specific; of equals the first. An impossible date is no time.
    """
    path = unquote(_SUFFIX.sub("", _slashed(name)))
    found = list(_times_in(path))
    return max(found, key=lambda time: time[:2])[2] if found else None


def printable(name: str) -> str:
    """``name`` fit for a terminal and for UTF-8: control characters and stray bytes as escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)


def _slashed(name: str) -> str:
    return name.replace("\\", "/")


def _times_in(path: str) -> Iterator[tuple[int, int, datetime]]:
    """Every time in ``path``, as (depth of its first character, digits of specificity, time)."""
    for pattern, read in ((_DATE_AND_TIME, _date_and_time), (_UNIX_TIME, _unix_time)):
        start = 0
        while found := pattern.search(path, start):
            # Matches may overlap: what looks like a date and its time may be a date and the next date.
            start = found.start() + 1
            try:
                specificity, time = read(found)
            except (ValueError, OverflowError):
                continue
            yield path.count("/", 0, found.start()), specificity, time


def _date_and_time(found: re.Match[str]) -> tuple[int, datetime]:
    """(1 to 5 for day to fraction, time); ValueError where there is no such time."""
    part = found.groupdict()
    day = datetime(int(part["year"]), int(part["month"]), int(part["day"]), tzinfo=UTC)
    if part["hour"] is None or (part["words"] and part["minute"] is None):
        return 1, day
    fraction = part["fraction"] or part["micros"]
    time = day.replace(
        hour=int(part["hour"]),
        minute=int(part["minute"] or 0),
        second=int(part["second"] or 0),
        microsecond=_microseconds(fraction),
        tzinfo=_zone(part),
    )
    specificity = 2 + sum(bool(found) for found in (part["minute"], part["second"], fraction))
    return specificity, time.astimezone(UTC)


def _zone(part: dict[str, str | None]) -> timezone:
    """The offset spelt, else UTC. A bare ``-01`` after dashes is a running number, not an offset."""
    if part["zone_hour"] is None or (not part["zone_minute"] and part["sign"] == "-" and part["colon"] != ":"):
        return UTC
    offset = timedelta(hours=int(part["zone_hour"]), minutes=int(part["zone_minute"] or 0))
    return timezone(-offset if part["sign"] == "-" else offset)


def _unix_time(found: re.Match[str]) -> tuple[int, datetime]:
    if found["millis"]:
        return 5, _EPOCH + timedelta(milliseconds=int(found["millis"]))
    microseconds = _microseconds(found["fraction"])
    return 5 if found["fraction"] else 4, _EPOCH + timedelta(seconds=int(found["seconds"]), microseconds=microseconds)


def _microseconds(fraction: str | None) -> int:
    return int((fraction or "0")[:6].ljust(6, "0"))
