"""Typed handlers for aiohttp: parameters and bodies checked by msgspec, OpenAPI 3.1 from the annotations."""

from __future__ import annotations

import http
import inspect
import typing
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import msgspec
from aiohttp import web

from api.problems import Problem

Typed = Callable[..., Awaitable[Any]]
_REF = "#/components/schemas/{name}"


class ProblemDetails(msgspec.Struct):
    """RFC 9457 problem details."""

    title: str
    status: int
    type: str = "about:blank"
    instance: str = ""
    detail: str = ""
    errors: list[dict[str, str]] = []


class Operation(msgspec.Struct):
    """One route as its handler's annotations describe it."""

    method: str
    path: str
    handler: Typed
    status: int
    errors: tuple[int, ...]
    path_types: dict[str, Any] = {}
    query_types: dict[str, tuple[Any, Any]] = {}
    body_type: Any = None
    answer_type: Any = None


class TypedRoutes:
    """Collects handlers `async def f(request, path_parameter, query_parameter=..., body)`."""

    def __init__(self) -> None:
        self.operations: list[Operation] = []

    def route(self, method: str, path: str, *, status: int = 200, errors: tuple[int, ...] = ()) -> Callable[[Typed], Typed]:
        """Declare a handler; its first docstring line becomes the operation's summary."""

        def declare(handler: Typed) -> Typed:
            hints = typing.get_type_hints(handler, include_extras=True)
            operation = Operation(method, path, handler, status, errors, answer_type=hints.get("return"))
            for name, parameter in list(inspect.signature(handler).parameters.items())[1:]:
                if f"{{{name}}}" in path:
                    operation.path_types[name] = hints[name]
                elif name == "body":
                    operation.body_type = hints[name]
                else:
                    operation.query_types[name] = (hints[name], parameter.default)
            self.operations.append(operation)
            return handler

        return declare

    def add_to(self, app: web.Application) -> None:
        """Put every operation into the app's router."""
        for operation in self.operations:
            app.router.add_route(operation.method, operation.path, _wrap(operation))


def openapi_of(all_routes: Iterable[TypedRoutes], title: str, version: str) -> dict[str, Any]:
    """The OpenAPI 3.1 document."""
    operations = [operation for routes in all_routes for operation in routes.operations]
    types = [ProblemDetails]
    for operation in operations:
        types += [operation.body_type, operation.answer_type, *operation.path_types.values()]
        types += [kind for kind, _ in operation.query_types.values()]
    wanted = [kind for kind in types if kind is not None and not _is_response(kind)]
    schemas, components = msgspec.json.schema_components(wanted, ref_template=_REF)
    schema_of = {id(kind): schema for kind, schema in zip(wanted, schemas, strict=True)}
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _describe(operation, schema_of)
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version},
        "paths": paths,
        "components": {"schemas": components},
    }


def _is_response(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, web.StreamResponse)


def _wrap(operation: Operation) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    decoder = msgspec.json.Decoder(operation.body_type) if operation.body_type is not None else None
    encoder = msgspec.json.Encoder()

    async def handle(request: web.Request) -> web.StreamResponse:
        arguments: dict[str, Any] = dict(request.match_info)
        errors: list[dict[str, str]] = []
        for name, (kind, default) in operation.query_types.items():
            if name not in request.query:
                if default is inspect.Parameter.empty:
                    errors.append({"in": "query", "name": name, "detail": "required"})
                continue
            try:
                arguments[name] = msgspec.convert(request.query[name], kind, strict=False)
            except msgspec.ValidationError as error:
                errors.append({"in": "query", "name": name, "detail": str(error)})
        if decoder is not None:
            if request.content_type != "application/json":
                raise Problem(415, "Unsupported Media Type", "send application/json")
            try:
                arguments["body"] = decoder.decode(await request.read())
            except msgspec.ValidationError as error:
                errors.append({"in": "body", "detail": str(error)})
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise Problem(400, "Bad Request", f"malformed JSON: {error}") from error
        if errors:
            raise Problem(422, "Unprocessable Content", "; ".join(error["detail"] for error in errors), errors=errors)
        answer = await operation.handler(request, **arguments)
        if isinstance(answer, web.StreamResponse):
            return answer
        return web.Response(status=operation.status, body=encoder.encode(answer), content_type="application/json")

    return handle


def _describe(operation: Operation, schema_of: dict[int, Any]) -> dict[str, Any]:
    problem = {"application/problem+json": {"schema": schema_of[id(ProblemDetails)]}}
    good: dict[str, Any] = {"description": http.HTTPStatus(operation.status).phrase}
    if id(operation.answer_type) in schema_of:
        good["content"] = {"application/json": {"schema": schema_of[id(operation.answer_type)]}}
    statuses = {*operation.errors, *((400, 415, 422) if operation.body_type else ()), *((422,) if operation.query_types else ())}
    described: dict[str, Any] = {
        "operationId": typing.cast("Any", operation.handler).__name__,
        "summary": (operation.handler.__doc__ or "").strip().splitlines()[0],
        "responses": {str(operation.status): good}
        | {str(status): {"description": http.HTTPStatus(status).phrase, "content": problem} for status in sorted(statuses)},
    }
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": schema_of[id(kind)]} for name, kind in operation.path_types.items()
    ] + [
        {"name": name, "in": "query", "required": default is inspect.Parameter.empty, "schema": schema_of[id(kind)]}
        for name, (kind, default) in operation.query_types.items()
    ]
    if parameters:
        described["parameters"] = parameters
    if operation.body_type:
        described["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": schema_of[id(operation.body_type)]}},
        }
    return described
