"""Who may speak to the console: whoever has the session's token, from a page of this console, under a name of this console."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs

# Nothing that the page sends is longer: an event of its elements has some hundred bytes. Chosen: a hundredfold.
BODY_BYTES = 65_536
# The page loads from its own address alone. NiceGUI's start-up code is inline, and Vue compiles its templates in the browser.
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "font-src 'self' data:; connect-src {connect}; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# RFC 9110: requests that change nothing. A browser sends no Origin with a plain page load.
_SAFE = ("GET", "HEAD")

_Message = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[_Message]]
_Send = Callable[[_Message], Awaitable[None]]
_App = Callable[[_Message, _Receive, _Send], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Refusal:
    """An HTTP status and the reason, one line."""

    status: int
    reason: str


@dataclass(frozen=True, slots=True)
class Admission:
    """What a request has to bring.

    Attributes:
        token: Of the session.
        hosts: Names with port under which the console is reached; any other is a page elsewhere that had its name point here.
        origins: Of the console's own pages.
    """

    token: str
    hosts: frozenset[str]
    origins: frozenset[str]

    def refusal(self, hosts: Sequence[str], origins: Sequence[str], token: str, *, needs_origin: bool) -> Refusal | None:
        """Say why a request is refused; None: it may pass.

        Args:
            hosts: All its Host headers.
            origins: All its Origin headers.
            token: That it brings; empty for none.
            needs_origin: It changes something, or opens a WebSocket.
        """
        if len(hosts) != 1 or hosts[0] not in self.hosts:
            # RFC 9110: misdirected request.
            return Refusal(421, "this console has another name: open the address that it printed")
        if any(origin not in self.origins for origin in origins) or (needs_origin and len(origins) != 1):
            return Refusal(403, "only the console's own page may ask this")
        if not hmac.compare_digest(token.encode(), self.token.encode()):
            return Refusal(401, "the session's token is missing or wrong: open the address that the console printed")
        return None


def addresses(host: str, port: int) -> tuple[frozenset[str], frozenset[str]]:
    """Return the Host headers and the origins of a console that is bound to an address; on loopback also by its name."""
    literal = f"[{host}]" if ":" in host else host
    names = {literal, "localhost"} if host in ("127.0.0.1", "::1") else {literal}
    hosts = frozenset(f"{name}:{port}" for name in names)
    return hosts, frozenset(f"http://{name}" for name in hosts)


class Gate:
    """An ASGI application that lets admitted requests through to another one, and tells browsers to load nothing from elsewhere.

    The token comes once in the address, and from then on in a cookie that scripts cannot read.

    Args:
        app: Behind it.
        admission: What a request has to bring.
        cookie: Name of the cookie: cookies know no ports, so it holds the port.
        connect: Further origins that the page may ask.
    """

    def __init__(self, app: _App, admission: Admission, cookie: str, connect: Sequence[str]) -> None:
        self._app = app
        self._admission = admission
        self._cookie = cookie
        sockets = [origin.replace("http:", "ws:", 1) for origin in sorted(admission.origins)]
        policy = _POLICY.format(connect=" ".join(("'self'", *sockets, *connect)))
        self._headers = [
            (b"content-security-policy", policy.encode()),
            (b"referrer-policy", b"no-referrer"),
            (b"x-content-type-options", b"nosniff"),
            (b"x-frame-options", b"DENY"),
        ]

    async def __call__(self, scope: _Message, receive: _Receive, send: _Send) -> None:
        """Serve one connection of ASGI 3."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            if self._refusal(scope, needs_origin=True) is None:
                await self._app(scope, receive, send)
            else:
                # Before it is accepted, servers answer this with 403.
                await send({"type": "websocket.close", "code": 1008})
        else:
            await self._serve(scope, receive, send)

    async def _serve(self, scope: _Message, receive: _Receive, send: _Send) -> None:
        offered = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0] if scope["path"] == "/" else ""
        safe = scope["method"] in _SAFE
        if (refusal := self._refusal(scope, needs_origin=not safe, offered=offered)) is not None:
            await _answer(send, refusal.status, [*self._headers], f"{refusal.reason}\n")
        elif not safe and not _short(scope):
            await _answer(send, 413, [*self._headers], f"at most {BODY_BYTES} bytes, and their number, are taken\n")
        elif offered:
            # From the address bar into a cookie.
            kept = f"{self._cookie}={self._admission.token}; HttpOnly; SameSite=Strict; Path=/".encode()
            await _answer(send, 303, [*self._headers, (b"location", b"/"), (b"set-cookie", kept)], "")
        else:
            await self._app(scope, receive, self._with_headers(send))

    def _refusal(self, scope: _Message, *, needs_origin: bool, offered: str = "") -> Refusal | None:
        token = offered or _cookie(_all(scope, b"cookie"), self._cookie)
        return self._admission.refusal(_all(scope, b"host"), _all(scope, b"origin"), token, needs_origin=needs_origin)

    def _with_headers(self, send: _Send) -> _Send:
        async def sending(message: _Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *self._headers]
            await send(message)

        return sending


def _all(scope: _Message, name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in scope["headers"] if key == name]


def _cookie(headers: Sequence[str], name: str) -> str:
    try:
        jar = SimpleCookie("; ".join(headers))
    except CookieError:
        return ""
    return jar[name].value if name in jar else ""


def _short(scope: _Message) -> bool:
    """Tell whether the length of a body is told, and within bounds: it is looked at before anything is read."""
    lengths = _all(scope, b"content-length")
    return len(lengths) == 1 and lengths[0].isdigit() and int(lengths[0]) <= BODY_BYTES


async def _answer(send: _Send, status: int, headers: list[tuple[bytes, bytes]], text: str) -> None:
    body = text.encode()
    plain = [(b"content-type", b"text/plain; charset=utf-8"), (b"cache-control", b"no-store"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": [*plain, *headers]})
    await send({"type": "http.response.body", "body": body})
