"""The question that is asked most, one customer of a model in memory, is answered before any route is tried.

What is in any way unusual goes on to the route, which says what is wrong with it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import parse_qs

import pydantic

from foretell.data.tables import typed_ids
from foretell.errors import ForetellError
from foretell.serve import answers
from foretell.serve.bodies import Asked, Horizon, Level
from foretell.serve.store import NAME

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from foretell.serve.app import Service
    from foretell.serve.models import Loaded

_PATH: Final = re.compile(rf"/v1/models/({NAME})/customers/([^/]{{1,200}})")
_KEPT: Final = 1_000  # ways of asking, of each model
_HEADERS: Final = (b"content-type", b"application/json")


class Route(NamedTuple):
    """What requests are counted by."""

    path: str


ROUTE: Final = Route("/v1/models/{model}/customers/{id}")


class _Query(pydantic.BaseModel):
    """The query of the question; numbers come as text."""

    model_config = pydantic.ConfigDict(extra="forbid")

    horizon: list[Horizon] = pydantic.Field(list(answers.HORIZONS), min_length=1, max_length=20)
    level: list[Level] = pydantic.Field([50, 80, 95], min_length=1, max_length=20)


class Quick:
    """Answers for one customer; everything else goes on.

    Parameters
    ----------
    app : ASGI application
    service : Service
    """

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app, self._service = app, service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or hand on."""
        found = _PATH.fullmatch(scope["path"]) if scope["type"] == "http" else None
        question = None
        if found is not None and scope["method"] == "GET":
            question = self._question(found[1], found[2], scope["query_string"])
        if question is None:
            await self._app(scope, receive, send)
            return
        loaded, customer, asked = question
        scope["route"] = ROUTE
        try:
            row = await self._service.desk.customer(loaded, customer, asked)
        except ForetellError:  # the route says it
            await self._app(scope, receive, send)
            return
        headers = [_HEADERS, (b"content-length", b"%d" % len(row))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": row})

    def _question(self, name: str, customer: str, query: bytes) -> tuple[Loaded, object, Asked] | None:
        """Return who is asked about, of which model and how; None where it is not as usual."""
        try:
            loaded = self._service.shelf.ready(name)
            if loaded is None or loaded.about.kind != "events":
                return None
            asked = loaded.asked.get(query)
            if asked is None:
                asked = self._asked(loaded, query)
            (key,) = typed_ids(answers.data_of(loaded.model).ids, [customer])
        except (ForetellError, ValueError):
            return None
        return loaded, key, asked

    def _asked(self, loaded: Loaded, query: bytes) -> Asked:
        """Read a query, and remember how."""
        given = parse_qs(query.decode(), keep_blank_values=True, strict_parsing=bool(query))
        ask = _Query.model_validate(given)
        answers.check_reach(answers.data_of(loaded.model), ask.horizon, self._service.config.limits)
        asked = tuple(ask.horizon), answers.whole(ask.level)
        if len(loaded.asked) < _KEPT:
            loaded.asked[query] = asked
        return asked
