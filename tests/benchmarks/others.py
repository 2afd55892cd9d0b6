"""Other programs that keep history, on the same input.

Belongs here: what both sides are given, and that they find as much. Does not belong here: the peers' environments
(`environments`), the scripts that run within them (`peers/`).

A peer is given what it asks for: a day's rows as an Arrow table or a Parquet file, a row a model and a column of text a
field of its object, in a form of its own choice and without benchmarks. Neither reading bytes nor taking JSON apart is
in its time. The product is given the captures' bytes, and its time includes the raw store and publishing.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import orjson
import polars as pl

from pipelines.captures import Capture
from pipelines.ledger.ledger import Ledger
from tests.benchmarks.bundle import MEMBER, alone, last_of_each_day
from tests.benchmarks.environments import HERE, Environment, NotToBeHadError, environment
from tests.benchmarks.measure import Against, Bar, Finding, Plan, interleaved, seconds_of

GIT_HISTORY = Bar(
    "git_history",
    "import of the whole bundle",
    15,
    Against.SLOWER_BASELINE,
    baseline="`git-history file` over its clone",
)
SCDUCK = Bar(
    "scduck",
    "a day's capture, one day after another through the bundle, published",
    5,
    Against.SLOWER_BASELINE,
    baseline="scduck, `SCDTable.sync` of its rows",
)
DLT = Bar(
    "dlt",
    "one more day's capture, published",
    10,
    Against.SLOWER_BASELINE,
    baseline="dlt, merge with strategy `scd2` into DuckDB of its rows",
)
DBT = Bar(
    "dbt",
    "one more day's capture, published",
    20,
    Against.SLOWER_BASELINE,
    baseline="`dbt snapshot` of its rows by dbt-duckdb",
)

BARS = (GIT_HISTORY, SCDUCK, DLT, DBT)

NAMED: Mapping[str, tuple[str, ...]] = {
    "git-history": ("git-history", "sqlite-utils"),
    "scduck": ("scduck", "duckdb"),
    "dlt": ("dlt", "duckdb"),
    "dbt": ("dbt-core", "dbt-duckdb", "duckdb"),
}

HISTORY_DAYS = 30
"""Days that dlt and dbt know before theirs are timed; they take seconds a day."""

_WARM_UP_DAYS = 5
_SMALL_DAYS = 12

_STRETCHES = "SELECT count(*), count(*) FILTER (valid_to IS NULL) FROM catalogue.core.runs WHERE known_to IS NULL"


class DifferentHistoriesError(Exception):
    """A peer and the product do not find the same history: then their times say nothing."""


def measure(plan: Plan) -> Iterator[Finding]:
    """Each peer that can be had; of the others, why not."""
    if plan.bundle is None:
        yield from plan.absent_bundle(BARS)
        return
    captures = last_of_each_day(plan.bundle)
    every, few = (_SMALL_DAYS,) * 2 if plan.is_small else (len(captures), HISTORY_DAYS + plan.rounds + 1)
    rows = _write_rows(captures[-every:], plan.folder / "rows")
    with _unless_missing(GIT_HISTORY) as missing:
        yield _against_git_history(plan, plan.bundle)
    yield from missing
    for bar, days in ((SCDUCK, every), (DLT, few), (DBT, few)):
        with _unless_missing(bar) as missing:
            timed = days - _WARM_UP_DAYS if bar is SCDUCK else min(plan.rounds, days - 1)
            yield _day_by_day(plan, bar, captures[-days:], rows[-days:], timed)
        yield from missing


@contextmanager
def _unless_missing(bar: Bar) -> Iterator[list[Finding]]:
    """Gives a list that holds why nothing was measured, if the peer cannot be had."""
    missing: list[Finding] = []
    try:
        yield missing
    except NotToBeHadError as problem:
        missing.append(Finding(bar.key, reason=str(problem)))


# --- a day after another --------------------------------------------------------------------------------------------


def _write_rows(captures: Sequence[Capture], folder: Path) -> list[Path]:
    """The rows of each day, as text, with the columns that any of them has."""
    folder.mkdir()
    listings = [orjson.loads(capture.body)["data"] for capture in captures]
    columns = sorted({name for models in listings for model in models for name in model} - {"id", "benchmarks"})
    paths = []
    for capture, models in zip(captures, listings, strict=True):
        texts = {name: [_text(model[name]) if name in model else None for model in models] for name in columns}
        frame = pl.DataFrame(
            {"model_id": [model["id"] for model in models], **texts},
            schema_overrides=dict.fromkeys(["model_id", *columns], pl.String),
        )
        paths.append(folder / f"{capture.observed_at:%Y-%m-%d}.parquet")
        frame.write_parquet(paths[-1])
    return paths


def _text(value: object) -> str:
    """What is there is told from what is not, null from the text "null"."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def _day_by_day(plan: Plan, bar: Bar, captures: Sequence[Capture], rows: Sequence[Path], timed: int) -> Finding:
    """Product and peer take the days in turns; the last ``timed`` of them count."""
    at_hand = environment(bar.key, NAMED[bar.key], plan.tell)
    folder = plan.folder / bar.key
    (folder / "peer").mkdir(parents=True)
    ours, theirs = [], []
    with Ledger(folder / "ours") as ledger, Peer(at_hand, bar.key, folder / "peer") as peer:
        for number, (capture, path) in enumerate(zip(captures, rows, strict=True)):
            theirs.append(peer.seconds_for(path))
            ours.append(seconds_of(partial(_a_day, ledger, capture)))
            if number % 50 == 0:
                plan.tell(f"{bar.key}: day {number + 1} of {len(rows)}")
        told = peer.closing()
        ((stretches, open_ones),) = ledger.rows(_STRETCHES)
    if (told["stretches"], told["open"]) != (stretches, open_ones):
        raise DifferentHistoriesError(f"{bar.key} tells {told}, the product {stretches} stretches, {open_ones} open")
    return Finding(
        bar.key,
        ours[-timed:],
        theirs[-timed:],
        note=f"{timed} days after {len(rows) - timed}; both tell the same {stretches:,} stretches; {at_hand.versions}",
    )


def _a_day(ledger: Ledger, capture: Capture) -> None:
    ledger.load([capture])
    ledger.publish()


class Peer:
    """A peer at work in its own environment, asked over its stdin. A context manager."""

    def __init__(self, at_hand: Environment, name: str, folder: Path) -> None:
        script = HERE / f"run_{name.replace('-', '_')}.py"
        self._process = subprocess.Popen(
            [at_hand.bin / "python", script, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=folder
        )

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def seconds_for(self, rows: Path) -> float:
        """Let it take a day's rows; its own seconds."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{rows}\n".encode())
        self._process.stdin.flush()
        return float(self._answer()["seconds"])

    def closing(self) -> dict[str, int]:
        """What it says at the end: the stretches it tells, and how many of them are open."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        return {name: int(value) for name, value in self._answer().items()}

    def _answer(self) -> dict[str, float]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the peer ended with {self._process.wait()} and without an answer")
        answer: dict[str, float] = orjson.loads(line)
        return answer


# --- the whole bundle -----------------------------------------------------------------------------------------------


def _against_git_history(plan: Plan, bundle: Path) -> Finding:
    """The whole import and the replay of all versions, a minute or more, in turns."""
    at_hand = environment("git-history", NAMED["git-history"], plan.tell)
    clone, database = plan.folder / "clone", plan.folder / "git-history.db"
    depth = plan.versions or (20 if plan.is_small else None)
    subprocess.run(["git", "clone", "--quiet", str(bundle), str(clone)], check=True)
    if depth is not None:
        cut = ["git", "clone", "--quiet", "--depth", str(depth), clone.as_uri(), f"{clone}-cut"]
        subprocess.run(cut, check=True)
        clone = Path(f"{clone}-cut")

    def ours() -> float:
        with tempfile.TemporaryDirectory(dir=plan.folder) as folder:
            return alone("import", bundle, Path(folder)).seconds

    def theirs() -> float:
        plan.tell("git-history replays the bundle")
        database.unlink(missing_ok=True)
        return seconds_of(lambda: _replay(at_hand, clone, database))

    our_times, their_times = interleaved(plan.rounds, ours, theirs)
    note = at_hand.versions
    if depth is not None:
        note += f"; it replayed only the last {depth} versions, ours all of them"
    return Finding(GIT_HISTORY.key, our_times, their_times, note=note)


def _replay(at_hand: Environment, clone: Path, database: Path) -> None:
    command = [str(at_hand.bin / "git-history"), "file", str(database), MEMBER, "--repo", str(clone), "--id", "id"]
    convert = ["--convert", "json.loads(content)['data']", "--ignore", "benchmarks", "--silent"]
    subprocess.run([*command, *convert], check=True, stdout=sys.stderr)
