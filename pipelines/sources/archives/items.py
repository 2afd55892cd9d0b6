"""What an archive is to its reader: dated captures in order, and what could not become one.

Belongs here: the types that every kind of archive shares. Does not belong here: how a kind is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from pipelines.captures import PACK_SIZE, Capture
from pipelines.scopes import Scope

TimeFrom = Literal["name", "mtime", "git"]


@dataclass(frozen=True)
class Unreadable:
    """Something that should have been a capture but cannot be; ``reason`` says why, and what may help."""

    name: str
    reason: str


class Unfit(Exception):
    """One item cannot become a capture; its message is the reason. Never leaves this package."""


@dataclass(frozen=True)
class Item:
    """A capture still in its archive: ``read`` gives its bytes, decompressed, or raises :class:`Unfit`.

    ``name`` is the path inside the archive, fit for printing; ``provenance`` what this kind of archive adds.
    """

    name: str
    observed_at: datetime
    read: Callable[[], bytes]
    provenance: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Contents:
    """What the index pass over an archive found; ``ignored`` counts the files that are no captures."""

    items: list[Item]
    unreadable: list[Unreadable]
    ignored: int = 0


class Archive:
    """The captures of one archive, in time order, read one by one as they are asked for.

    ``total``: how many things iteration gives. ``ignored``: how many files in it are no captures.
    ``description``: what it is, such as ``git bundle openrouter-models.bundle``. Iterating again reads again.
    ``pack_size``: how many captures may be lost with an interrupted import; fewer where each is dear to fetch.
    """

    pack_size = PACK_SIZE

    def __init__(self, name: str, kind: str, contents: Contents, *, scope: Scope, time_from: TimeFrom) -> None:
        self.description = f"{kind} {name}"
        self.ignored = contents.ignored
        self.total = len(contents.items) + len(contents.unreadable)
        self._name = name
        self._scope = scope
        self._time_from = time_from
        self._unreadable = sorted(contents.unreadable, key=lambda item: item.name)
        # A stable sort: versions of one file in one second stay in the order of their commits.
        self._items = sorted(contents.items, key=lambda item: (item.observed_at, item.name))

    def __iter__(self) -> Iterator[Capture | Unreadable]:
        """First what has no time, by name; then everything else by (observed_at, name).

        Raises SourceError where the archive itself, rather than one item, proves damaged.
        """
        yield from self._unreadable
        yield from self._in_time_order(self._items)

    def _in_time_order(self, items: Iterable[Item]) -> Iterator[Capture | Unreadable]:
        for item in items:
            try:
                body = item.read()
            except Unfit as unfit:
                yield Unreadable(item.name, str(unfit))
                continue
            yield Capture(
                self._scope,
                item.observed_at,
                body,
                origin=f"archive:{self._name}",
                provenance={
                    "archive": self._name,
                    "member": item.name,
                    "time_from": self._time_from,
                    **item.provenance,
                },
            )
