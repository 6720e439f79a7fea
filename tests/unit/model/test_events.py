"""An event's forms."""

from __future__ import annotations

from bridge.model.events import Event
from tests.story import Story, final


def test_a_form_is_made_once() -> None:
    """Of each event anew, and apart from its other forms."""
    made: list[Event] = []

    def form(event: Event) -> bytes:
        made.append(event)
        return event.id.encode()

    events = Story().tell(final(0, "one"), final(1, "two"))
    for _ in range(3):
        assert [event.written(form) for event in events] == [event.id.encode() for event in events]
        assert events[0].written(lambda event: event.type.encode()) == b"transcript.final"
    assert made == events
