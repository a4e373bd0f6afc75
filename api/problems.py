"""RFC 9457 problem details: every error of /v1 is one, and no answer ever shows a stack trace."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler

from schemas.errors import BuildingError

log = logging.getLogger(__name__)
RETRY_AFTER_S = 2
_KEPT_HEADERS = ("Allow", "Retry-After")


class Problem(BuildingError):
    """An answer that is an error: its status, its title, what went wrong for people, and more facts if any."""

    reason = "problem"

    def __init__(
        self,
        status: int,
        title: str,
        detail: str = "",
        *,
        headers: Mapping[str, str] | None = None,
        errors: list[dict[str, str]] | None = None,
    ) -> None:
        super().__init__(f"{status} {title}: {detail}")
        self.status = status
        self.title = title
        self.detail = detail
        self.headers = dict(headers or {})
        self.errors = errors or []

    def response(self, instance: str) -> web.Response:
        """The problem as application/problem+json."""
        body: dict[str, Any] = {"type": "about:blank", "title": self.title, "status": self.status, "instance": instance}
        if self.detail:
            body["detail"] = self.detail
        if self.errors:
            body["errors"] = self.errors
        return web.Response(
            status=self.status, body=msgspec.json.encode(body), content_type="application/problem+json", headers=self.headers
        )


def not_yet(detail: str) -> Problem:
    """503 with Retry-After: ask again soon."""
    return Problem(503, "Service Unavailable", detail, headers={"Retry-After": str(RETRY_AFTER_S)})


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn what a handler raises into a problem; a bug is logged with its trace and answered without one."""
    try:
        return await handler(request)
    except Problem as problem:
        return problem.response(request.path)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        kept = {name: error.headers[name] for name in _KEPT_HEADERS if name in error.headers}
        return Problem(error.status, error.reason, headers=kept).response(request.path)
    except Exception:
        log.exception("%s %s failed", request.method, request.path)
        return Problem(500, "Internal Server Error").response(request.path)
