"""Commands that ask the API itself, and leave the warehouse alone.

Belongs here: one function a command: a question to the live API, and how to show its answer.
Does not belong here: what is asked of the published file (`ask`) or goes into the warehouse (`load`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import click

from pipelines.cli.options import format_option
from pipelines.cli.tables import cell, minute, money, print_records, print_table

if TYPE_CHECKING:
    from pipelines.sources.openrouter import Model, OpenRouter

_Command = TypeVar("_Command", bound=Callable[..., Any])


def _api_options(command: _Command) -> _Command:
    """``--base-url`` and ``--eu``."""
    eu = click.option("--eu", "is_eu", is_flag=True, help="Ask the host that routes within the EU.")
    base_url = click.option(
        "--base-url",
        envvar="CATALOGUE_BASE_URL",
        show_envvar=True,
        help="The API to ask, if not the real one: a proxy, or a simulation.",
    )
    return base_url(eu(command))


@contextmanager
def _api(base_url: str | None, is_eu: bool) -> Iterator[OpenRouter]:
    """The client; impatient, since somebody waits."""
    from pipelines.sources.http import DEFAULT_POLICY
    from pipelines.sources.openrouter import OpenRouter

    policy = replace(DEFAULT_POLICY, attempts=3, total_seconds=60.0, retry_after_cap_seconds=15.0)
    with OpenRouter(base_url or None, is_eu=is_eu, policy=policy) as api:
        yield api


@click.command()
@click.argument("model_id", metavar="MODEL")
@_api_options
@format_option("card", "json")
def get(model_id: str, base_url: str | None, is_eu: bool, format_: str) -> None:
    """Ask the API what MODEL is now: an id, an alias, or an id with a variant.

    Nothing is stored. The JSON is the model as the API gives it.

    \b
    Examples:
      catalogue get anthropic/claude-sonnet-4.5
      catalogue get openai/gpt-oss-120b:free --format json
    """
    from pipelines.sources.openrouter import parse_model

    with _api(base_url, is_eu) as api:
        body = api.get(model_id).body
    model = parse_model(body)
    if format_ == "json":
        click.echo(json.dumps(json.loads(body)["data"], ensure_ascii=True, indent=1))
        return
    print_table(f"{model.name or model.id}", ("", ""), _facts(model))
    print_table("Prices", ("price", ">", "listed as"), _prices(model))


def _facts(model: Model) -> list[tuple[str, str]]:
    rows: Mapping[str, str] = {
        "id": model.id,
        "canonical slug": model.canonical_slug or "",
        "added": minute(model.created_at),
        "expires": model.expiration_date or "",
        "context": _tokens(model.context_length_tokens),
        "longest answer": _tokens(model.max_completion_tokens),
        "reads": ", ".join(model.input_modalities),
        "writes": ", ".join(model.output_modalities),
        "parameters": ", ".join(sorted(model.supported_parameters)),
        "description": " ".join((model.description or "").split()),
    }
    return [(name, value) for name, value in rows.items() if value]


def _tokens(number: int | None) -> str:
    return "" if number is None else f"{number:,} tokens"


def _prices(model: Model) -> list[tuple[str, str, str]]:
    from pipelines.pricing import unit_of

    texts = model.pricing.texts
    rows = [
        (kind.replace("_", " "), money(price.usd, price.status, unit_of(kind, texts)), texts[kind])
        for kind, price in model.pricing.prices.items()
    ]
    rows += [(f"rule {number}", "", cell(dict(rule))) for number, rule in enumerate(model.pricing.overrides, 1)]
    return rows


@click.command()
@click.option(
    "--output-modalities",
    default="all",
    show_default=True,
    help="Count models with these outputs: text, image, audio and so on, with commas between, or all.",
)
@_api_options
@format_option("text", "json")
def count(output_modalities: str, base_url: str | None, is_eu: bool, format_: str) -> None:
    """Ask the API how many models it lists.

    \b
    Examples:
      catalogue count
      catalogue count --output-modalities image,video
    """
    from pipelines.sources.openrouter import parse_count

    with _api(base_url, is_eu) as api:
        models = parse_count(api.count(output_modalities).body)
    if format_ == "json":
        print_records("json", ("output_modalities", "models"), [(output_modalities, models)])
    else:
        click.echo(models)
