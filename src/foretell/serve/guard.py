"""What every request passes before a route sees it: who asks, from where, and how much is sent."""

from __future__ import annotations

import functools
import hashlib
import hmac
import http.cookies
import secrets
import time
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, RedirectResponse, Response

from foretell.serve.settings import ServeConfig
from foretell.serve.watch import LOG, Counters

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE: Final = "foretell"
UPLOADS: Final = ("/v1/sources", "/page/sources")
_OPEN: Final = ("/health", "/page/enter", "/page/static/")  # what is answered without a token
_SAFE: Final = ("GET", "HEAD", "OPTIONS")
_LOCAL: Final = ("localhost", "127.0.0.1", "::1")
_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # without any the own forms would come from nowhere
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}

_RAW: Final = [(header.lower().encode(), value.encode()) for header, value in _HEADERS.items()]


def failure(kind: str, message: str, status: int, headers: dict[str, str] | None = None) -> JSONResponse:
    """Return an error in the one shape that all have."""
    return JSONResponse({"error": {"kind": kind, "message": message}}, status, headers)


def cookie_of(token: str) -> str:
    """Return what a browser carries in place of the token."""
    return hmac.new(token.encode(), b"the page of foretell", hashlib.sha256).hexdigest()


def is_token(given: str, token: str) -> bool:
    """Tell whether a token is the right one, in a time that says nothing about it."""
    return hmac.compare_digest(given.encode(), token.encode())


class Guard:
    """Checks requests, counts and logs them, and keeps what went wrong inside from those outside.

    Parameters
    ----------
    app : ASGI application
    config : ServeConfig
    counters : Counters
    """

    def __init__(self, app: ASGIApp, config: ServeConfig, counters: Counters) -> None:
        self._app, self._config, self._counters = app, config, counters

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, name = time.perf_counter(), secrets.token_hex(8)
        status = 0

        async def told(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                given = {header for header, _ in message["headers"]}
                own = [pair for pair in _RAW if pair[0] not in given]
                message["headers"] = [*message["headers"], *own, (b"x-request-id", name.encode())]
            await send(message)

        try:
            refused = self._refusal(scope)
            if refused is None:
                await self._app(scope, self._limited(scope, receive), told)
            else:
                await refused(scope, receive, told)
        except Exception:  # noqa: BLE001  # whatever it is, it is logged and told without its inside
            LOG.exception("failure", extra={"fields": {"id": name, "path": scope["path"]}})
            if not status:
                text = f"something went wrong inside; the log says more under {name}"
                await failure("InternalError", text, 500)(scope, receive, told)
        finally:
            seconds = time.perf_counter() - began
            route = getattr(scope.get("route"), "path", "none")
            self._counters.count(scope["method"], route, status, seconds)
            fields = {"id": name, "method": scope["method"], "path": scope["path"], "status": status}
            LOG.info("request", extra={"fields": fields | {"ms": round(1000 * seconds, 2)}})

    def _refusal(self, scope: Scope) -> Response | None:
        """Return what is said to a request that is not let through."""
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if self._config.token is None and _hostname(host) not in _LOCAL:
            # Another name for this machine is how a page elsewhere would reach what listens here alone.
            return failure("HostError", f"Host: {host[:100]}; expected localhost or 127.0.0.1", 421)
        if scope["method"] not in _SAFE and not _same_origin(headers, host):
            return failure("OriginError", "a page of another origin sent this; only its own may", 403)
        token = self._config.token
        if token is not None and not _is_open(scope["path"]) and not _carries(headers, token):
            if scope["path"].startswith("/page") or scope["path"] == "/":
                return RedirectResponse("/page/enter", 303)
            mend = "expected Authorization: Bearer with the token that the service was started with"
            return failure("TokenError", mend, 401, {"WWW-Authenticate": "Bearer"})
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > self._most(scope):
            return _too_much(self._most(scope))
        return None

    def _most(self, scope: Scope) -> int:
        limits = self._config.limits
        return limits.upload if scope["path"] in UPLOADS else limits.body

    def _limited(self, scope: Scope, receive: Receive) -> Receive:
        """Return what reads a request no further than is allowed, whatever it said of its length."""
        most, seen = self._most(scope), 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > most:
                raise HTTPException(413, f"more than {most:,} bytes")
            return message

        return counted


def _too_much(most: int) -> Response:
    return failure("TooMuch", f"more than {most:,} bytes; send less at once", 413, {"Connection": "close"})


def _is_open(path: str) -> bool:
    return path in _OPEN or path.startswith(_OPEN[-1])


def _carries(headers: Headers, token: str) -> bool:
    """Tell whether a request carries the token, in a time that says nothing about it."""
    kind, _, given = headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer" and is_token(given.strip(), token):
        return True
    try:
        cookies = http.cookies.SimpleCookie(headers.get("cookie", ""))
    except http.cookies.CookieError:
        return False
    carried = cookies[COOKIE].value if COOKIE in cookies else ""
    return hmac.compare_digest(carried.encode(), cookie_of(token).encode())


def _same_origin(headers: Headers, host: str) -> bool:
    """Tell whether a request that changes something comes from a page of this service, or from no page."""
    if headers.get("sec-fetch-site", "none") not in {"same-origin", "none"}:
        return False
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).netloc == host


@functools.lru_cache(64)
def _hostname(host: str) -> str | None:
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None
