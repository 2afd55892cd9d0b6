from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.errors import UsageError
from pipelines.settings import Settings


def test_nothing_has_to_be_set():
    settings = Settings.from_environment({})
    assert settings == Settings()
    assert (settings.schedule, settings.time_zone) == ("5 0 * * *", "UTC")
    assert settings.dagster_home == Path.cwd() / "warehouse" / "dagster"


def test_everything_can_be_set():
    settings = Settings.from_environment(
        {
            "CATALOGUE_WAREHOUSE": "/data/catalogue",
            "CATALOGUE_BASE_URL": "http://127.0.0.1:9/api/v1",
            "CATALOGUE_GATEWAY_URL": "http://127.0.0.1:8",
            "CATALOGUE_SCHEDULE": " 0 */6 * * * ",
            "CATALOGUE_TIME_ZONE": "Europe/Berlin",
            "CATALOGUE_FETCH_RETRIES": "0",
            "CATALOGUE_FETCH_RETRY_SECONDS": "1.5",
            "CATALOGUE_STALE_AFTER_HOURS": "7",
            "DAGSTER_HOME": "/data/dagster",
        }
    )
    assert settings == Settings(
        warehouse=Path("/data/catalogue"),
        base_url="http://127.0.0.1:9/api/v1",
        gateway_url="http://127.0.0.1:8",
        schedule="0 */6 * * *",
        time_zone="Europe/Berlin",
        fetch_retries=0,
        fetch_retry_seconds=1.5,
        stale_after_hours=7,
        home=Path("/data/dagster"),
    )
    assert settings.dagster_home == Path("/data/dagster")


def test_empty_is_unset():
    assert Settings.from_environment({"CATALOGUE_SCHEDULE": "", "CATALOGUE_BASE_URL": " "}) == Settings()


def test_dagster_lives_in_the_warehouse(tmp_path):
    assert Settings(warehouse=tmp_path).dagster_home == tmp_path / "dagster"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CATALOGUE_FETCH_RETRIES", "many"),
        ("CATALOGUE_FETCH_RETRIES", "1.5"),
        ("CATALOGUE_FETCH_RETRIES", "-1"),
        ("CATALOGUE_FETCH_RETRY_SECONDS", "nan"),
        ("CATALOGUE_FETCH_RETRY_SECONDS", "inf"),
        ("CATALOGUE_STALE_AFTER_HOURS", "0"),
    ],
)
def test_a_number_that_makes_no_sense_is_refused_by_name(name, value):
    with pytest.raises(UsageError, match=f"{name} is '{value}'"):
        Settings.from_environment({name: value})


def test_only_the_limits_that_are_set_are_given():
    """So that a process without them does not take back what another set."""
    given = {"CATALOGUE_GONE_SHARE": "0.3", "CATALOGUE_GONE_WITHIN_DAYS": "14"}
    assert Settings.from_environment(given).limits == {"gone_share": 0.3, "gone_within_days": 14}
    with pytest.raises(UsageError, match=r"CATALOGUE_GONE_SHARE is '30'; it must be a number from 0 to 1"):
        Settings.from_environment({"CATALOGUE_GONE_SHARE": "30"})
