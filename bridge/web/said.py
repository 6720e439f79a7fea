"""Segments in answers: as webhooks and events have them."""

from __future__ import annotations

import dataclasses
from typing import Annotated, TypeAlias

from pydantic import SerializerFunctionWrapHandler, WrapSerializer

from bridge.model.words import Segment, as_fields


def _as_told(segment: Segment, handler: SerializerFunctionWrapHandler):  # type: ignore[no-untyped-def]  # noqa: ANN202  # a return type would be the schema
    del handler
    return dataclasses.asdict(segment, dict_factory=as_fields)


Said: TypeAlias = Annotated[Segment, WrapSerializer(_as_told)]
