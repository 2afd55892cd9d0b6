"""`catalogue import wayback` from the terminal to the marts, against a simulated web archive over real HTTP."""

from __future__ import annotations

import gzip
import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pipelines.captures import Capture
from pipelines.demo.catalogue import SimulatedCatalogue
from pipelines.demo.misbehaviour import BOMB_BYTES, Misbehaviour
from pipelines.demo.web_archive import Held, WebArchiveServer
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.published import Published
from pipelines.scopes import ALL_MODELS, TEXT_MODELS
from tests.integration.test_cli import run, sentence_of
from tests.processes import EXECUTABLE

URL = "https://openrouter.ai/api/v1/models"
START = datetime(2026, 5, 1, 3, 4, 5, tzinfo=UTC)


def stamp_of(moment: datetime) -> str:
    return moment.strftime("%Y%m%d%H%M%S")


@pytest.fixture(scope="module")
def simulated() -> SimulatedCatalogue:
    return SimulatedCatalogue(seed=5, models=60, days=40)


@pytest.fixture(scope="module")
def bodies(simulated: SimulatedCatalogue) -> dict[datetime, bytes]:
    """What the API said every other day, with a gap of ten days."""
    moments = [START + timedelta(days=day) for day in range(0, 38, 2) if not 12 <= day < 22]
    return {moment: simulated.listing(moment, output_modalities="text") for moment in moments}


@pytest.fixture
def archive(bodies: dict[datetime, bytes]) -> Iterator[WebArchiveServer]:
    held = {stamp_of(moment): Held(body) for moment, body in bodies.items()}
    with WebArchiveServer(URL, held, rows_at_once=5) as server:
        yield server


def load(archive: WebArchiveServer, warehouse: Path, *options: str, **environment: str):
    base = ("import", "wayback", "--base-url", archive.base_url, "--pause", "0")
    return run(*base, *options, warehouse=warehouse, **{"CATALOGUE_HTTP_ATTEMPTS": "1", **environment})


def fetched(archive: WebArchiveServer) -> list[str]:
    return [one.path[5:19] for one in archive.requests if one.path.startswith("/web/")]


def history(warehouse: Path) -> list[list[tuple]]:
    with Published(warehouse) as published:
        return [
            published.ask(f"SELECT * FROM marts.{mart} ORDER BY ALL").rows
            for mart in ("price_history", "model_spells", "model_events", "price_changes", "model_history")
        ]


@pytest.fixture
def expected(bodies: dict[datetime, bytes], tmp_path: Path) -> list[list[tuple]]:
    """The history that the same bytes make when they are loaded by hand."""
    warehouse = tmp_path / "by hand"
    with Ledger(warehouse) as ledger:
        ledger.load([Capture(TEXT_MODELS, moment, body, origin="live") for moment, body in bodies.items()])
        ledger.publish()
    return history(warehouse)


def test_a_warehouse_born_today_has_a_past(archive, bodies, expected, tmp_path):
    """Pages of the listing, gzip held as such, an answer moved to its neighbour, HTML: the rest is history."""
    moments = list(bodies)
    packed, moved = stamp_of(moments[2]), stamp_of(moments[4] + timedelta(hours=5))
    archive.held[packed] = Held(gzip.compress(bodies[moments[2]]))
    archive.held[moved] = Held(b"", is_moved=True)
    archive.held["20260601000000"] = Held(b"<html>Sorry</html>", content_type="text/html")
    archive.held["20260602000000"] = Held(b"{}", status=503)
    archive.held = dict(sorted(archive.held.items()))
    result = load(archive, tmp_path / "w")
    assert result.returncode == 3, result
    assert f"{len(bodies) + 1} captures loaded, 1 known before" in result.stdout
    assert "1 capture is quarantined" in result.stderr
    assert "not JSON" in result.stderr
    assert history(tmp_path / "w") == expected
    with Published(tmp_path / "w") as published:
        origins = published.ask("SELECT origin FROM raw.provenance ORDER BY 1").rows
    assert [(f"wayback:{one}",) for one in archive.held if one != "20260602000000"] == origins


def test_only_what_is_not_loaded_yet_is_fetched(archive, bodies, tmp_path):
    moved = stamp_of(next(iter(bodies)) + timedelta(hours=5))
    archive.held = dict(sorted({**archive.held, moved: Held(b"", is_moved=True)}.items()))
    first = load(archive, tmp_path / "w", "--limit", "4")
    assert (first.returncode, len(fetched(archive))) == (0, 4 + 1)  # the redirect is a request of its own
    assert "more captures can be loaded" in first.stderr
    load(archive, tmp_path / "w")
    assert max(Counter(fetched(archive)[5:]).values()) == 1
    assert not set(fetched(archive)[:5]) & set(fetched(archive)[5:])
    before = len(archive.requests)
    again = load(archive, tmp_path / "w")
    assert "0 captures loaded" in again.stdout
    assert all(one.path == "/cdx/search/cdx" for one in archive.requests[before:])


def test_days_bound_what_is_fetched(archive, tmp_path):
    load(archive, tmp_path / "w", "--from", "2026-05-03", "--to", "2026-05-07")
    assert fetched(archive) == ["20260503030405", "20260505030405", "20260507030405"]


def test_another_scope_looks_up_another_address(simulated, tmp_path):
    body = simulated.listing(START, output_modalities="all")
    with WebArchiveServer(f"{URL}?output_modalities=all", {stamp_of(START): Held(body)}) as server:
        assert load(server, tmp_path / "w", "--scope", "all").returncode == 0
    with Published(tmp_path / "w") as published:
        assert published.ask("SELECT scope, observed_at FROM marts.snapshots").rows == [(ALL_MODELS.name, START)]


def test_the_pace_is_kept(archive, tmp_path):
    started = time.monotonic()
    load(archive, tmp_path / "w", "--limit", "3", "--pause", "0.5")
    pages = sum(one.path == "/cdx/search/cdx" for one in archive.requests)
    assert time.monotonic() - started >= 0.5 * (pages + 3 - 1)


@pytest.mark.parametrize("kind", [Misbehaviour.TOO_MANY_REQUESTS, Misbehaviour.UNAVAILABLE])
def test_a_short_rest_is_granted(archive, bodies, tmp_path, kind):
    path = f"/web/{stamp_of(next(iter(bodies)))}id_/{URL}"
    archive.misbehave(kind, path=path, retry_after="1")
    started = time.monotonic()
    result = load(archive, tmp_path / "w", "--limit", "1", CATALOGUE_HTTP_ATTEMPTS="3")
    assert result.returncode == 0, result
    assert time.monotonic() - started >= 1


def test_who_wants_to_be_left_alone_is_and_what_came_before_stays(archive, bodies, tmp_path):
    third = list(bodies)[2]
    archive.misbehave(Misbehaviour.TOO_MANY_REQUESTS, path=f"/web/{stamp_of(third)}id_/{URL}", retry_after="3600")
    result = load(archive, tmp_path / "w")
    sentence = sentence_of(result, 1)
    assert "it asks to be left alone for 3600 s" in sentence
    assert "the same command goes on" in sentence
    assert len(fetched(archive)) == 3
    with Published(tmp_path / "w") as published:
        assert published.ask("SELECT count(*) FROM marts.snapshots").rows == [(2,)]
    assert load(archive, tmp_path / "w").returncode == 0


@pytest.mark.slow
def test_a_killed_import_goes_on(archive, bodies, expected, tmp_path):
    """Killed after each of several requests, it fetches no stored pack again and ends with the same history."""
    environment = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "CATALOGUE_WAREHOUSE": str(tmp_path / "w")}
    process = subprocess.Popen(
        [EXECUTABLE, "import", "wayback", "--base-url", archive.base_url, "--pause", "0.3"],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 60
    while len(fetched(archive)) < 11 and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    killed_at = len(fetched(archive))
    assert 11 <= killed_at < len(bodies)
    result = load(archive, tmp_path / "w")
    assert result.returncode == 0, result
    assert set(fetched(archive)[killed_at:]) == set(sorted(archive.held)[8:])
    assert history(tmp_path / "w") == expected


def test_others_write_while_it_waits_for_the_archive(archive, bodies, expected, tmp_path):
    """Seen red with the ledger open throughout. What the other loads in between is fetched as well, and is no news."""
    environment = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "CATALOGUE_WAREHOUSE": str(tmp_path / "w")}
    archive.latency_seconds = 0.15
    process = subprocess.Popen(
        [EXECUTABLE, "import", "wayback", "--base-url", archive.base_url, "--pause", "0"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while len(fetched(archive)) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    moment, body = list(bodies.items())[-1]
    with Ledger(tmp_path / "w", lock_timeout=0.5) as ledger:
        ledger.load([Capture(TEXT_MODELS, moment, body, origin="live")])
    assert process.poll() is None
    output, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")
    assert f"{len(bodies) - 1} captures loaded, 1 known before" in output
    assert history(tmp_path / "w") == expected


SPOILT = {
    Misbehaviour.REDIRECT_ELSEWHERE: "redirects elsewhere",
    Misbehaviour.CUT_MID_BODY: "the connection broke before the answer was complete",
    Misbehaviour.TRUNCATED_GZIP: "cut off before its end",
    Misbehaviour.OVERSIZED: "larger than",
    Misbehaviour.GZIP_BOMB: "larger than",
    Misbehaviour.NOT_FOUND: "status 404",
}


@pytest.mark.parametrize("kind", SPOILT, ids=lambda kind: kind.name)
def test_one_bad_answer_is_reported_and_fetched_next_time(archive, bodies, tmp_path, kind):
    second = list(bodies)[1]
    archive.misbehave(kind, path=f"/web/{stamp_of(second)}id_/{URL}")
    result = load(archive, tmp_path / "w", "--limit", "3")
    assert result.returncode == 3
    assert "2 captures loaded" in result.stdout
    assert SPOILT[kind] in result.stderr
    assert "Traceback" not in result.stderr
    assert load(archive, tmp_path / "w", "--limit", "1").returncode == 0
    assert fetched(archive)[-1] == stamp_of(second)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"<html>Just a moment</html>", "not JSON"),
        ('{"data": [{"id": "café"}]}'.encode("latin-1"), "not JSON"),
        (b"[" * 200_000 + b"]" * 200_000, "not JSON"),
    ],
    ids=["HTML", "wrong encoding", "deeply nested"],
)
def test_what_is_no_listing_is_kept_and_quarantined(archive, bodies, tmp_path, body, reason):
    archive.held[stamp_of(list(bodies)[1])] = Held(body)
    result = load(archive, tmp_path / "w")
    assert result.returncode == 3
    assert reason in result.stderr
    with Published(tmp_path / "w") as published:
        assert published.ask("SELECT verdict FROM raw.quarantine").rows == [("quarantined",)]
        assert published.ask("SELECT count(*) FROM marts.snapshots").rows == [(len(bodies) - 1,)]


@pytest.mark.parametrize(
    "body", [gzip.compress(b"{}")[:-4], gzip.compress(b" " * 2**20) * (BOMB_BYTES // 2**20)], ids=["cut", "bomb"]
)
def test_gzip_held_as_such_may_be_bad(archive, bodies, tmp_path, body):
    archive.held[stamp_of(list(bodies)[1])] = Held(body)
    result = load(archive, tmp_path / "w", "--limit", "3")
    assert (result.returncode, "2 captures loaded" in result.stdout) == (3, True), result
    assert "damaged or cut short" in result.stderr or "larger than 64 MiB" in result.stderr


@pytest.mark.parametrize(
    "kind", [Misbehaviour.HTML, Misbehaviour.REDIRECT_ELSEWHERE, Misbehaviour.OVERSIZED, Misbehaviour.GZIP_BOMB]
)
def test_a_bad_listing_is_one_sentence(archive, tmp_path, kind):
    archive.misbehave(kind, path="/cdx/search/cdx")
    sentence_of(load(archive, tmp_path / "w"), 1)
    assert fetched(archive) == []


def test_a_listing_that_goes_round_in_a_circle_ends(archive, tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "rows_at_once", 0)
    assert "circle" in sentence_of(load(archive, tmp_path / "w"), 1)


@pytest.mark.parametrize("url", ["http://nobody.invalid", "https://127.0.0.1:1", "not an address"])
def test_an_archive_that_is_not_there(archive, tmp_path, url):
    result = load(archive, tmp_path / "w", "--base-url", url)
    sentence_of(result, 2 if " " in url else 1)


def test_no_tls_where_tls_is_expected(archive, tmp_path):
    url = archive.base_url.replace("http://", "https://")
    assert "TLS" in sentence_of(load(archive, tmp_path / "w", "--base-url", url), 1)


@pytest.mark.parametrize(
    ("options", "advice"),
    [
        (("--from", "yesterday"), "--from is 'yesterday'"),
        (("--time-from", "name"), "not for wayback"),
        (("--url", "ftp://x"), "must begin with http"),
    ],
)
def test_wrong_usage(archive, tmp_path, options, advice):
    assert advice in sentence_of(load(archive, tmp_path / "w", *options), 2)


def test_a_folder_of_that_name_is_still_a_folder(bodies, tmp_path):
    moment, body = next(iter(bodies.items()))
    (tmp_path / "wayback").mkdir()
    (tmp_path / "wayback" / f"{stamp_of(moment)}.json").write_bytes(body)
    result = subprocess.run(
        [EXECUTABLE, "import", "./wayback", "--warehouse", "w"], cwd=tmp_path, capture_output=True, text=True
    )
    assert (result.returncode, "1 capture loaded" in result.stdout) == (0, True), result
    refused = run("import", tmp_path / "wayback", "--limit", "1", warehouse=tmp_path / "w")
    assert "--limit is only for" in sentence_of(refused, 2)
