"""Who may ask: a server on loopback is still reached by every page open in the user's browser."""

from __future__ import annotations

from collections.abc import Collection

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from yarl import URL

from api.problems import Problem

LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
_FOREIGN_SITES = ("cross-site", "same-site")
_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def host_guard(allowed: Collection[str]) -> Middleware:
    """Refuse a request whose Host is none of ours: a foreign name rebound to this address (DNS rebinding)."""

    @web.middleware
    async def check_host(request: web.Request, handler: Handler) -> web.StreamResponse:
        if _host(request.host) not in allowed:
            raise Problem(403, "Forbidden", "this server does not answer for that host name")
        if request.method not in _SAFE_METHODS:
            refuse_foreign(request)
        return await handler(request)

    return check_host


def writes(handler: Handler) -> Handler:
    """Guard a GET that acts, so that no other page's image or link can use it."""

    async def guarded(request: web.Request) -> web.StreamResponse:
        refuse_foreign(request)
        return await handler(request)

    return guarded


def refuse_foreign(request: web.Request) -> None:
    """Raise a 403 problem when a browser says that another site asks, or that it merely prefetches."""
    if request.headers.get("Sec-Fetch-Site", "") in _FOREIGN_SITES:
        raise Problem(403, "Forbidden", "another site's page may not act on the building")
    origin = request.headers.get("Origin")
    if origin is not None and origin != f"{request.scheme}://{request.host}":
        raise Problem(403, "Forbidden", "another origin's page may not act on the building")
    if "prefetch" in request.headers.get("Sec-Purpose", "") or request.headers.get("Purpose") == "prefetch":
        raise Problem(403, "Forbidden", "a prefetch may not act on the building")


async def add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    """Signal `on_response_prepare`: nothing is cached, nothing foreign is loaded or lets us be framed."""
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)


def _host(header: str) -> str:
    try:
        return (URL(f"http://{header}").host or "").lower().rstrip(".")
    except ValueError:
        return ""
