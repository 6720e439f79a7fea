"""Faults as answers: one shape, stable codes, nothing of the inside."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from bridge import errors
from bridge.web.calls import CallQuery
from bridge.web.keys import KeyIn
from bridge.web.problems import FAMILIES, invalid, problem


def leaves(parent: type[errors.BridgeError]) -> list[type[errors.BridgeError]]:
    """The class and all below it that are the core's; other services' surfaces answer in shapes of their own."""
    children = (child for child in parent.__subclasses__() if child.__module__ == errors.__name__)
    return [parent, *(leaf for child in children for leaf in leaves(child))]


@pytest.mark.parametrize("kind", leaves(errors.BridgeError), ids=lambda kind: kind.__name__)
def test_every_error_of_ours_has_an_answer(kind: type[errors.BridgeError]) -> None:
    """Status, code, message and details are the error's own; the type is its branch of the tree."""
    answer = problem(kind("what went wrong", where="here"))
    body = json.loads(answer.text)
    assert answer.status == kind.status
    assert answer.content_type == "application/json"
    family = next((name for branch, name in FAMILIES.items() if issubclass(kind, branch)), "internal_error")
    assert body == {
        "error": {"code": kind.code, "message": "what went wrong", "type": family, "details": {"where": "here"}}
    }


def test_every_branch_of_the_tree_has_a_name() -> None:
    """A new branch of errors.py cannot be forgotten; what a client of ours raises is no answer of the server's."""
    branches = {kind for kind in errors.BridgeError.__subclasses__() if kind.__module__ == errors.__name__}
    assert branches == set(FAMILIES)


@pytest.mark.parametrize(("wait", "header"), [(7, "7"), (0.2, "1"), (2.6, "3")])
def test_when_to_come_back_is_a_header_too(wait: float, header: str) -> None:
    """Clients that know HTTP alone read Retry-After: whole seconds, never 0."""
    assert problem(errors.CapacityError("full", retry_after=wait)).headers["Retry-After"] == header


def test_401_says_how_to_come_in() -> None:
    """RFC 9110 §11.6.1 asks for the header."""
    assert problem(errors.UnauthorisedError("who?")).headers["WWW-Authenticate"].startswith("Bearer")


def test_details_that_json_does_not_know_are_told_as_text() -> None:
    """Telling of a fault does not fail over what it carries."""
    body = json.loads(problem(errors.StoreError("away", error=ValueError("x"))).text)
    assert body["error"]["details"] == {"error": "x"}


def test_each_wrong_field_is_named_and_no_value_repeated() -> None:
    """The list says which and why; what was sent stays out of answers and logs."""
    with pytest.raises(ValidationError) as caught:
        CallQuery.model_validate({"limit": "9999", "status": "s3cret", "colour": "s3cret"})
    found = invalid(caught.value, "query")
    assert set(found.details["fields"]) == {"limit", "status", "colour"}
    assert "s3cret" not in found.message + json.dumps(found.details)


def test_a_body_that_is_no_json_is_named_as_a_whole() -> None:
    """There is no field to name then."""
    with pytest.raises(ValidationError) as caught:
        KeyIn.model_validate_json(b"{")
    fields = invalid(caught.value, "body").details["fields"]
    assert list(fields) == ["body"]
    assert "JSON" in fields["body"]
