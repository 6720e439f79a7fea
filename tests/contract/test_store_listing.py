"""CallStore.calls: filters, order and pages."""

from __future__ import annotations

import pytest

from bridge.errors import InvalidRequestError
from bridge.model.records import CallFilter, CallStatus
from bridge.model.stream import Leg
from bridge.ports import Store
from tests.story import START, Story, ended, final, revised, segment, started


@pytest.fixture
async def office(store: Store) -> Store:
    """Five calls of `acme`, a minute apart (0 oldest), of which 1 failed and 4 goes on; one of another tenant."""
    said = [
        ("acme", "CA0", ["I want a refund", "for Monday's order"], ended()),
        ("acme", "CA1", ["refund please"], ended("error", "engine")),
        ("acme", "CA2", ["Crème brûlée, naïve café", "STRASSE und Straße"], ended()),
        ("acme", "CA1", ["退款申请", "спасибо большое"], ended()),
        ("acme", "CA4", ["a refund on monday"], None),
        ("other", "CA0", ["refund monday"], ended()),
    ]
    for number, (tenant, carrier_call_id, texts, end) in enumerate(said):
        story = Story(f"call-{number}", tenant, at=START + 60 * number)
        finals = [final(i + 1, text, leg=Leg.AGENT if i % 2 else Leg.CALLER) for i, text in enumerate(texts)]
        await store.append(story.tell(started(carrier_call_id), *finals, *([end] if end else [])))
    return store


@pytest.mark.parametrize(
    ("wanted", "numbers"),
    [
        pytest.param(CallFilter(), [4, 3, 2, 1, 0], id="all-newest-first"),
        pytest.param(CallFilter(status=CallStatus.COMPLETED), [3, 2, 0], id="completed"),
        pytest.param(CallFilter(status=CallStatus.FAILED), [1], id="failed"),
        pytest.param(CallFilter(status=CallStatus.IN_PROGRESS), [4], id="in-progress"),
        pytest.param(CallFilter(carrier_call_id="CA1"), [3, 1], id="carriers-id"),
        pytest.param(CallFilter(started_after=START + 120), [4, 3, 2], id="started-after-includes-its-instant"),
        pytest.param(CallFilter(started_before=START + 120), [1, 0], id="started-before-excludes-it"),
        pytest.param(CallFilter(started_after=START + 60.0005, started_before=START + 180.0005), [3, 2], id="between"),
        pytest.param(CallFilter(ended_after=START + 62), [3, 2, 1], id="ended-after"),
        pytest.param(CallFilter(ended_after=START + 62.5), [3, 2], id="ended-just-after"),
        pytest.param(CallFilter(text="refund"), [1, 0], id="word"),
        pytest.param(CallFilter(text="MONDAY refund!"), [0], id="words-in-any-order-and-segment"),
        pytest.param(CallFilter(text="fund"), [], id="whole-words-only"),
        pytest.param(CallFilter(text="refund tuesday"), [], id="every-word-must-occur"),
        pytest.param(CallFilter(text="cafe brulee"), [2], id="without-accents"),
        pytest.param(CallFilter(text="strasse"), [2], id="sharp-s"),
        pytest.param(CallFilter(text="退款"), [3], id="chinese-within-a-run"),
        pytest.param(CallFilter(text="款退"), [], id="chinese-in-order"),
        pytest.param(CallFilter(text="СПАСИБО"), [3], id="cyrillic"),
        pytest.param(CallFilter(text='refund" OR "please'), [], id="no-query-language"),
        pytest.param(CallFilter(text="?!"), [4, 3, 2, 1, 0], id="no-words-no-limit"),
        pytest.param(CallFilter(text="refund", status=CallStatus.FAILED), [1], id="text-and-status"),
        pytest.param(CallFilter(text="refund", ended_after=START + 60), [1], id="text-and-end"),
        pytest.param(CallFilter(text="refund", started_before=START + 1), [0], id="text-and-start"),
    ],
)
async def test_what_a_filter_finds(office: Store, wanted: CallFilter, numbers: list[int]) -> None:
    """Each filter narrows the tenant's calls, alone and together; a page at a time finds the same."""
    whole = await office.calls("acme", wanted, cursor=None, limit=100)
    assert [call.call_id for call in whole.calls] == [f"call-{number}" for number in numbers]
    assert whole.cursor is None

    found, cursor = [], None
    for _ in range(len(numbers) + 1):
        page = await office.calls("acme", wanted, cursor=cursor, limit=1)
        found += page.calls
        cursor = page.cursor
        if cursor is None:
            break
    assert tuple(found) == whole.calls


async def test_settled_words_are_found_and_replaced_ones_are_not(office: Store) -> None:
    """A revision after the end changes what the call is found by."""
    story = Story("call-9", at=START + 999)
    await office.append(story.tell(started(), final(1, "wreck a nice beach"), ended()))
    await office.append(story.tell(revised([1], segment(1, "Recognise speech"))))
    assert (await office.calls("acme", CallFilter(text="beach"), cursor=None, limit=9)).calls == ()
    [found] = (await office.calls("acme", CallFilter(text="speech"), cursor=None, limit=9)).calls
    assert found.call_id == "call-9"


async def test_new_calls_do_not_move_a_page(office: Store) -> None:
    """A cursor goes on behind what was read, whatever has begun since."""
    first = await office.calls("acme", CallFilter(), cursor=None, limit=2)
    await office.append(Story("call-new", at=START + 9999).tell(started()))
    rest = await office.calls("acme", CallFilter(), cursor=first.cursor, limit=9)
    assert [call.call_id for call in rest.calls] == ["call-2", "call-1", "call-0"]


@pytest.mark.parametrize("cursor", ["", "x", "////", "WzEuNV0", "WyJhIl0", "bnVsbA", "\ud83d", "ü"])
async def test_a_cursor_that_is_not_ours(office: Store, cursor: str) -> None:
    """A made-up cursor is an invalid request, never a fault of ours."""
    for wanted in (CallFilter(), CallFilter(ended_after=START)):
        with pytest.raises(InvalidRequestError):
            await office.calls("acme", wanted, cursor=cursor, limit=2)


async def test_one_lists_cursor_does_not_open_another(office: Store) -> None:
    """A cursor belongs to its order: by start, or by end."""
    page = await office.calls("acme", CallFilter(), cursor=None, limit=1)
    with pytest.raises(InvalidRequestError):
        await office.calls("acme", CallFilter(ended_after=START), cursor=page.cursor, limit=1)


@pytest.mark.parametrize(
    ("wanted", "place", "numbers", "total"),
    [
        pytest.param(CallFilter(), {"skip": 0, "limit": 2}, [4, 3], 5, id="first-page"),
        pytest.param(CallFilter(), {"skip": 4, "limit": 2}, [0], 5, id="last-page"),
        pytest.param(CallFilter(), {"skip": 5, "limit": 2}, [], 5, id="behind-the-last"),
        pytest.param(CallFilter(), {"skip": 0, "limit": 0}, [], 5, id="the-count-alone"),
        pytest.param(CallFilter(status=CallStatus.COMPLETED), {"skip": 1, "limit": 1}, [2], 3, id="narrowed"),
        pytest.param(
            CallFilter(started_after=START + 60, started_before=START + 180),
            {"skip": 0, "limit": 9},
            [2, 1],
            2,
            id="between",
        ),
    ],
)
async def test_numbered_pages(
    office: Store, wanted: CallFilter, place: dict[str, int], numbers: list[int], total: int
) -> None:
    """Newest first from any place on, with how many there are on all pages; another tenant's are not counted."""
    page = await office.calls_behind("acme", wanted, **place)
    assert [call.call_id for call in page.calls] == [f"call-{number}" for number in numbers]
    assert page.total == total


async def test_texts_of_several_calls(office: Store) -> None:
    """A line a segment in the order of speaking; another tenant's and unknown ones are left out, silent ones empty."""
    await office.append(Story("silent", "acme", at=START + 900).tell(started(), ended()))
    found = await office.texts("acme", ["call-0", "call-5", "silent", "none"])
    assert found == {"call-0": "I want a refund\nfor Monday's order", "silent": ""}
