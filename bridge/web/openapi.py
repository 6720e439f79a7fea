"""`/openapi.json`, made from the routes and models that requests go through.

OpenAPI 3.0.3: the newest that the bundled Swagger UI shows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, models_json_schema

from bridge import __version__
from bridge.dialects import all_rows, in_markdown
from bridge.errors import (
    BridgeError,
    ForbiddenError,
    InvalidRequestError,
    NotFoundError,
    TooManyRequestsError,
    UnauthorisedError,
)
from bridge.model.events import BODIES
from bridge.web.problems import Problem
from bridge.web.route import TOKEN_PARAMETER, Answer, Nothing, Route

REFERENCE: Final = "#/components/schemas/{model}"

AnyRoute = Route[Any, Any]


def document(routes: Iterable[AnyRoute]) -> dict[str, Any]:
    """The whole document, as plain JSON values."""
    shown = [route for route in routes if route.in_document]
    schemas = _schemas(shown)
    paths: dict[str, dict[str, Any]] = {}
    for route in shown:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, schemas)
    for route in shown:  # their properties have become parameters
        schemas.pop(route.query.__name__, None)
    return {
        "openapi": "3.0.3",
        "info": {
            "title": "callbridge",
            "version": __version__,
            "description": (
                "Phone calls in, live captions, transcripts and signed webhooks out.\n\n"
                "Calls come in over WebSockets, which this document cannot describe, and in other ways:\n\n"
                + in_markdown(all_rows())
            ),
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "servers": [{"url": "./"}],
        "tags": [{"name": tag} for tag in dict.fromkeys(route.tag for route in shown)],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An API key, or a short-lived token from `POST /v1/tokens`.",
                },
                "token": {
                    "type": "apiKey",
                    "in": "query",
                    "name": TOKEN_PARAMETER,
                    "description": "A short-lived token, where a page can send no header. Never an API key.",
                },
            },
        },
    }


def _operation(route: AnyRoute, schemas: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "operationId": route.handler.__name__,
        "summary": route.summary,
        "tags": [route.tag],
        "parameters": [*_path_parameters(route), *_query_parameters(route, schemas)],
        "responses": {**_answers(route.answers), **_faults(route)},
    }
    if route.scope is None:
        found["security"] = []
    else:
        found["description"] = f"Needs the scope `{route.scope.value}`."
        found["security"] = [{"bearer": []}, {"token": []}]
    if route.takes is not None:
        found["requestBody"] = {"required": True, "content": {route.takes: {"schema": {"type": "string"}}}}
    if route.body is not Nothing:
        needed = bool(schemas[route.body.__name__].get("required"))
        found["requestBody"] = {"required": needed, "content": {"application/json": {"schema": _reference(route.body)}}}
    if route.form is not None:
        file = {"type": "object", "properties": {"file": {"type": "string", "format": "binary"}}}
        content: dict[str, Any] = {"multipart/form-data": {"schema": {"allOf": [_reference(route.form), file]}}}
        if "url" in route.form.model_fields:  # instead of the recording
            content = {"application/json": {"schema": _reference(route.form)}, **content}
        found["requestBody"] = {"required": True, "content": content}
    return found


def _path_parameters(route: AnyRoute) -> list[dict[str, Any]]:
    names = re.findall(r"{(\w+)}", route.path)
    return [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]


def _query_parameters(route: AnyRoute, schemas: Mapping[str, Any]) -> list[dict[str, Any]]:
    if route.query is Nothing:
        return []
    model = schemas[route.query.__name__]
    parameters = []
    for name, schema in model["properties"].items():
        # A parameter that is not sent is absent, never null.
        plain = {key: value for key, value in schema.items() if key not in {"description", "nullable"}}
        parameter = {"name": name, "in": "query", "required": name in model.get("required", ()), "schema": plain}
        if "description" in schema:
            parameter["description"] = schema["description"]
        parameters.append(parameter)
    return parameters


def _answers(answers: Iterable[Answer]) -> dict[str, Any]:
    found = {}
    for answer in answers:
        content = {}
        for media_type in answer.media_types:
            content[media_type] = {"schema": _body_schema(media_type, answer)}
            if media_type == "text/event-stream":
                content[media_type]["x-event"] = {"$ref": REFERENCE.format(model="Event")}
        found[str(answer.status)] = {"description": answer.description, **({"content": content} if content else {})}
    return found


def _body_schema(media_type: str, answer: Answer) -> dict[str, Any]:
    if media_type != "application/json":
        return {"type": "string"}
    return {"type": "object"} if answer.model is None else _reference(answer.model)


def _faults(route: AnyRoute) -> dict[str, Any]:
    kinds: list[type[BridgeError]] = [*route.faults]
    if route.scope is not None:
        kinds += [UnauthorisedError, ForbiddenError, InvalidRequestError, TooManyRequestsError]
    if "{" in route.path:
        kinds.append(NotFoundError)
    content = {"application/json": {"schema": _reference(Problem)}}
    found = {
        str(kind.status): {"description": f"`{kind.code}`: {_sentence(kind)}", "content": content} for kind in kinds
    }
    return {**dict(sorted(found.items())), "default": {"description": "any other fault", "content": content}}


def _sentence(kind: type[BridgeError]) -> str:
    return " ".join((kind.__doc__ or "").split())


def _schemas(routes: Iterable[AnyRoute]) -> dict[str, Any]:
    wanted: dict[tuple[type[BaseModel], JsonSchemaMode], None] = {(Problem, "serialization"): None}
    for route in routes:
        wanted |= {(model, "validation"): None for model in (route.query, route.body) if model is not Nothing}
        wanted |= {} if route.form is None else {(route.form, "validation"): None}
        wanted |= {(answer.model, "serialization"): None for answer in route.answers if answer.model is not None}
    _, found = models_json_schema(list(wanted), ref_template=REFERENCE, schema_generator=_Plain)
    schemas: dict[str, Any] = found["$defs"] | _event_schemas()
    return {name: _as_3_0(schemas[name]) for name in sorted(schemas)}


def _event_schemas() -> dict[str, Any]:
    """One schema an event type, envelope included, and `Event` that is any of them."""
    schemas: dict[str, Any] = {}
    for kind, body in BODIES.items():
        schema = TypeAdapter(body).json_schema(ref_template=REFERENCE, schema_generator=_Plain)
        schemas |= schema.pop("$defs", {})
        envelope = {
            "id": {"type": "string"},
            "seq": {"type": "integer", "minimum": 1, "description": "per call, without gaps: where to resume"},
            "type": {"type": "string", "enum": [kind]},
            "call_id": {"type": "string"},
            "time": {"type": "string", "format": "date-time"},
        }
        schemas[body.__name__] = schema | {
            "properties": envelope | schema["properties"],
            "required": [*envelope, *schema.get("required", ())],
        }
    references = {kind: REFERENCE.format(model=body.__name__) for kind, body in BODIES.items()}
    schemas["Event"] = {
        "oneOf": [{"$ref": reference} for reference in references.values()],
        "discriminator": {"propertyName": "type", "mapping": references},
    }
    return schemas


def _reference(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": REFERENCE.format(model=model.__name__)}


class _Plain(GenerateJsonSchema):
    """Without a title that repeats every name."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        del schema
        return False


def _as_3_0(schema: Any) -> Any:
    """JSON Schema 2020-12, as pydantic writes it, in the dialect of OpenAPI 3.0: `nullable`, no `const`."""
    if isinstance(schema, list):
        return [_as_3_0(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {name: _as_3_0(part) for name, part in schema.items()}
    if "const" in plain:
        plain["enum"] = [plain.pop("const")]
    choices = plain.get("anyOf", [])
    if {"type": "null"} in choices:
        (kept,) = [choice for choice in choices if choice != {"type": "null"}]
        del plain["anyOf"]
        plain = {**plain, **({"allOf": [kept]} if "$ref" in kept else kept), "nullable": True}
    if "$ref" in plain and len(plain) > 1:  # 3.0 ignores whatever stands beside a reference
        plain = {"allOf": [{"$ref": plain.pop("$ref")}], **plain}
    if plain.get("default", ...) is None:
        del plain["default"]
    return plain
