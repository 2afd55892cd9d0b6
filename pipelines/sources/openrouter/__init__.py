"""OpenRouter's API, whole: a client of its own that gives captures, and functions that read them.

    from pipelines.sources.openrouter import OpenRouter, parse_model

    with OpenRouter() as api:
        model = parse_model(api.get("anthropic/claude-sonnet-4.5").body)

Belongs here: the names that others may use. Does not belong here: code.
"""

from pipelines.feed import FeedItem, parse_feed
from pipelines.sources.http import FetchPolicy
from pipelines.sources.http_failures import (
    BadRequestError,
    ForbiddenError,
    NotFoundError,
    ServerFailedError,
    StatusError,
    TooManyRequestsError,
    UnauthorizedError,
    UnavailableError,
)
from pipelines.sources.openrouter.answers import (
    Endpoint,
    Endpoints,
    Model,
    Models,
    Pricing,
    Provider,
    parse_count,
    parse_endpoints,
    parse_model,
    parse_models,
    parse_providers,
    parse_zdr_endpoints,
)
from pipelines.sources.openrouter.client import (
    BASE_URL,
    EU_BASE_URL,
    KEY_VARIABLE,
    OpenRouter,
    default_user_agent,
    listing_scope,
    source_of,
)
from pipelines.sources.openrouter.query import OUTPUT_MODALITIES, ModelsQuery, Region, Sort

__all__ = [
    "BASE_URL",
    "EU_BASE_URL",
    "KEY_VARIABLE",
    "OUTPUT_MODALITIES",
    "BadRequestError",
    "Endpoint",
    "Endpoints",
    "FeedItem",
    "FetchPolicy",
    "ForbiddenError",
    "Model",
    "Models",
    "ModelsQuery",
    "NotFoundError",
    "OpenRouter",
    "Pricing",
    "Provider",
    "Region",
    "ServerFailedError",
    "Sort",
    "StatusError",
    "TooManyRequestsError",
    "UnauthorizedError",
    "UnavailableError",
    "default_user_agent",
    "listing_scope",
    "parse_count",
    "parse_endpoints",
    "parse_feed",
    "parse_model",
    "parse_models",
    "parse_providers",
    "parse_zdr_endpoints",
    "source_of",
]
