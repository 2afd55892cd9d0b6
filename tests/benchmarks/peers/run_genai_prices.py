"""genai-prices: the public `calc_price`, one call a request, as its page shows it.

Belongs here: what a user of genai-prices writes, and which prices it holds. Does not belong here: reading the requests,
which is not timed; judging differences.
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from genai_prices import Usage, calc_price
from genai_prices.data_snapshot import get_snapshot
from protocol import serve

PROVIDER = "openrouter"

COUNTS = {
    "prompt_tokens": "input_tokens",
    "completion_tokens": "output_tokens",
    "reasoning_tokens": "output_reasoning_tokens",
    "cache_read_tokens": "cache_read_tokens",
    "cache_write_5m_tokens": "cache_write_tokens",
    "web_searches": "web_searches",
}

Request = tuple[datetime, str, dict[str, int]]


def main() -> None:
    """Price files of requests; costs and lists go into the folder that the command line names."""
    (provider,) = (one for one in get_snapshot().providers if one.id == PROVIDER)
    folder, told = Path(sys.argv[1]), {"requests": 0, "unknown": 0}
    costs: list[str] = []

    def prepare(path: Path) -> Callable[[], object]:
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        models = {name: provider.find_model(name) for name in {row["model"] for row in rows}}
        requests = [_request(row) for row in rows if models[row["model"]] is not None]
        told.update(requests=len(requests), unknown=len(rows) - len(requests))
        instants = {row["model"]: datetime.fromtimestamp(int(row["time_us"]) / 1e6, UTC) for row in rows}
        lists = {name: _list(model.get_prices(instants[name])) for name, model in models.items() if model is not None}
        (folder / "lists.json").write_text(json.dumps(lists))
        return lambda: costs.__setitem__(slice(None), _priced(requests))

    def closing() -> Mapping[str, object]:
        (folder / "costs.json").write_text(json.dumps(costs))
        return told

    serve(prepare, closing)


def _request(row: Mapping[str, str]) -> Request:
    counts = {name: int(row[column]) for column, name in COUNTS.items()}
    moment = datetime.fromtimestamp(int(row["time_us"]) / 1e6, UTC)
    return moment, row["model"], {name: count for name, count in counts.items() if count}


def _priced(requests: list[Request]) -> list[str]:
    return [
        str(calc_price(Usage(**counts), model, provider_id=PROVIDER, genai_request_timestamp=moment).total_price)
        for moment, model, counts in requests
    ]


def _list(prices: Any) -> dict[str, list[tuple[int, str]]]:
    """Each price key with the input tokens from which each of its prices holds."""
    found = {}
    for key, price in vars(prices).items():
        if price is not None:
            tiers = [(tier.start + 1, str(tier.price)) for tier in getattr(price, "tiers", ())]
            found[key] = [(0, str(getattr(price, "base", price))), *tiers]
    return found


if __name__ == "__main__":
    main()
