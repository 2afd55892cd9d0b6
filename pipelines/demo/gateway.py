"""A simulated gateway over real HTTP: the simulated catalogue's models, grouped, for those who know the token.

Belongs here: the grouped form, the token. Does not belong here: sockets and misbehaviour (`server`), the models.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import orjson

from pipelines.demo.misbehaviour import Reply, Request, error
from pipelines.demo.server import Catalogue, CatalogueServer


class GatewayServer(CatalogueServer):
    """Serves ``catalogue`` as a gateway does at ``/api/ai/models``.

    A model stands under each of its output modalities, with its author for a provider; providers in ``unconfigured``
    have no key yet. ``tokens`` are accepted, ``expired`` ones refused as such.
    """

    prefix = ""

    def __init__(
        self,
        catalogue: Catalogue,
        *,
        now: datetime,
        tokens: Iterable[str],
        expired: Iterable[str] = (),
        unconfigured: Iterable[str] = (),
    ) -> None:
        super().__init__(catalogue, now=now)
        self.tokens = frozenset(tokens)
        self.expired = frozenset(expired)
        self.unconfigured = set(unconfigured)

    def reply(self, request: Request) -> Reply:
        """What a well-behaved gateway answers."""
        if request.path != "/api/ai/models":
            return error(404, "Not Found")
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if token in self.expired:
            return error(401, "Token expired")
        if token not in self.tokens:
            return error(401, f"Unknown token {token}")
        return Reply(200, orjson.dumps(self.grouped()))

    def grouped(self) -> dict[str, list[dict[str, Any]]]:
        """The answer at :attr:`now`."""
        groups: dict[str, dict[str, list[dict[str, Any]]]] = {"text": {}, "image": {}}
        for model in orjson.loads(self.catalogue.listing(self.now, output_modalities="all"))["data"]:
            for modality in model["architecture"]["output_modalities"]:
                provider = model["id"].removeprefix("~").partition("/")[0]
                groups.setdefault(modality, {}).setdefault(provider, []).append(_as_a_gateway_has_it(model))
        return {
            modality: [
                {"provider": provider, "configured": provider not in self.unconfigured, "models": models}
                for provider, models in providers.items()
            ]
            for modality, providers in groups.items()
        }


def _as_a_gateway_has_it(model: dict[str, Any]) -> dict[str, Any]:
    rest = {name: value for name, value in model.items() if name != "top_provider"}
    provider = model["top_provider"]
    return rest | {"topProvider": provider, "max_completion_tokens": provider.get("max_completion_tokens")}
