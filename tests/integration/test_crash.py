"""A sample of `make torture`: a process killed with -9 loses nothing that was accepted, and the next one goes on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.torture.forks import Forks
from tests.torture.trial import Measures, Trial

SAMPLES = {
    "what comes in": ("snapshot", "import", "snapshot", "publish") * 2,
    "what is decided": ("decide",) * 6,
    "what is built anew": ("rebuild", "migration") * 3,
    "the daily job": ("dagster",) * 2,
}


@pytest.fixture(scope="module")
def forks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forks]:
    with pytest.MonkeyPatch.context() as patch, Forks(tmp_path_factory.mktemp("forks")) as processes:
        patch.delenv("DAGSTER_HOME", raising=False)
        yield processes


@pytest.mark.slow
@pytest.mark.parametrize("operations", SAMPLES.values(), ids=SAMPLES)
def test_no_death_breaks_a_promise(operations: tuple[str, ...], forks: Forks, tmp_path: Path):
    """Truths 1 and 4: what `tests.torture.promises` demands, after each of these deaths and in the end.

    Seen red with the journal written after the ledger's commit, with packs written in place, with the published file
    copied in place, with verdicts and history in two transactions, with packs that no commit took passed over at the
    next opening, and with half-written files of the dead left where they lay.
    """
    folder, kept = tmp_path / "trial", tmp_path / "kept"
    with Trial(folder, "sample", forks, Measures(), kept, kinds=("file", "file", "seconds"), executables=0.0) as trial:
        trial.torture(operations)
    assert trial.states.total() == len(operations)
