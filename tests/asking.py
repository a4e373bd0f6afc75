"""The API as a client in a test asks it."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any


def ask(url: str, body: dict[str, Any] | None = None, *, method: str | None = None, etag: str | None = None) -> tuple[int, Any]:
    """Status and JSON of an answer, a problem's too. GET without a body, POST with one, unless told otherwise."""
    data = None if body is None else json.dumps(body).encode()
    headers = ({"Content-Type": "application/json"} if data else {}) | ({"If-Match": etag} if etag else {})
    request = urllib.request.Request(url, data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)
