"""Who may speak to the desk: this machine's browser, with the address that was printed, and no other page."""

import contextlib
import hmac
import os
import secrets
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE = "pocketscope"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
# The report is a page of its own, with its script and style inside, and loads nothing.
OF_REPORT = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'"
)
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def secret_of(kept: Path | None = None) -> str:
    """Return what must be known to speak to the desk.

    Kept in a file that only its owner can read, it lets a page that is open go on where the desk is started anew.
    """
    with contextlib.suppress(OSError, ValueError):
        if kept is not None and kept.stat().st_mode & 0o077 == 0 and len(known := kept.read_text("ascii").strip()) > 30:
            return known
    made = secrets.token_urlsafe(24)
    with contextlib.suppress(OSError):  # then the next start has another
        if kept is not None:
            kept.unlink(missing_ok=True)
            with os.fdopen(os.open(kept, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(made)
    return made


class Guard:
    """Let requests through that name this host, come from the desk's own page, and know the secret.

    Parameters
    ----------
    app
        The application behind.
    secret
        As `secret_of` gives it: once as `token` in the address, from then on in a cookie.
    hosts
        What `Host` may say, with the port; this keeps out pages whose name was turned to this machine (DNS rebinding).
    """

    def __init__(self, app: ASGIApp, secret: str, hosts: Iterable[str]) -> None:
        self.app, self.secret, self.hosts = app, secret, {host.casefold() for host in hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        refused = self._refused(HTTPConnection(scope))
        if refused is not None:
            await refused(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = Headers(raw=message["headers"]).mutablecopy()
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("Content-Security-Policy", POLICY)
                headers.setdefault("Cache-Control", "no-store")
                message["headers"] = headers.raw
            await send(message)

        await self.app(scope, receive, with_headers)

    def _refused(self, request: HTTPConnection) -> PlainTextResponse | RedirectResponse | None:
        if request.headers.get("host", "").casefold() not in self.hosts:
            return PlainTextResponse("This address is not the desk's; open the one that was printed.", 421)
        origin = request.headers.get("origin")
        if origin is not None and origin.casefold() not in {f"http://{host}" for host in self.hosts}:
            return PlainTextResponse("Another page may not speak to the desk.", 403)
        if request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            return PlainTextResponse("Another page may not speak to the desk.", 403)
        if request.scope["method"] not in ("GET", "HEAD") and origin is None:
            return PlainTextResponse("Only the desk's own page may change anything.", 403)
        if (given := request.query_params.get("token")) is not None:
            if not _equal(given, self.secret):
                return _stale()
            rest = [(key, value) for key, value in parse_qsl(request.url.query) if key != "token"]
            there = RedirectResponse(request.url.path + (f"?{urlencode(rest)}" if rest else ""), 303, HEADERS)
            there.set_cookie(self._cookie(request), self.secret, httponly=True, samesite="strict", path="/")
            return there
        if not _equal(request.cookies.get(self._cookie(request), ""), self.secret):
            return _stale()
        return None

    def _cookie(self, request: HTTPConnection) -> str:
        # Cookies do not tell ports apart, and two desks may be open.
        return f"{COOKIE}-{request.url.port or 80}"


def _equal(given: str, secret: str) -> bool:
    return hmac.compare_digest(given.encode(errors="replace"), secret.encode())


def _stale() -> PlainTextResponse:
    return PlainTextResponse(
        "This address is of an earlier start, or incomplete. Open the one that `pocketscope open` printed last.", 403
    )
