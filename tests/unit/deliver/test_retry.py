"""When a webhook is tried again."""

from __future__ import annotations

import pytest

from bridge.deliver.retry import Outcome, next_due

NOW = 1_800_000_000.0  # Fri, 15 Jan 2027 08:00:00 GMT
FAILED = Outcome(status=500)


def test_the_schedule() -> None:
    """Tries at once, then 30 s, 5 min, 30 min, 2 h, 5 h, 10 h and 10 h after the one before; then never."""
    waits, number = [], 1
    while (due := next_due(FAILED, number=number, now=NOW, chance=0.0)) is not None:
        waits.append(due - NOW)
        number += 1
    assert waits == [30, 300, 1800, 7200, 18_000, 36_000, 36_000]
    assert number == 8


@pytest.mark.parametrize(("chance", "wait_s"), [(0.0, 30.0), (0.5, 31.5), (1.0, 33.0)])
def test_jitter_only_lengthens(chance: float, wait_s: float) -> None:
    """By up to a tenth."""
    assert next_due(FAILED, number=1, now=NOW, chance=chance) == NOW + wait_s


@pytest.mark.parametrize(
    ("outcome", "again"),
    [
        pytest.param(Outcome(status=200), False, id="200"),
        pytest.param(Outcome(status=204), False, id="204"),
        pytest.param(Outcome(status=299), False, id="299"),
        pytest.param(Outcome(status=199), True, id="199"),
        pytest.param(Outcome(status=301), True, id="a-redirect-is-not-followed"),
        pytest.param(Outcome(status=308), True, id="308"),
        pytest.param(Outcome(status=400), True, id="400"),
        pytest.param(Outcome(status=404), True, id="404"),
        pytest.param(Outcome(status=410), False, id="410-wants-no-more"),
        pytest.param(Outcome(status=429), True, id="429"),
        pytest.param(Outcome(status=503), True, id="503"),
        pytest.param(Outcome(error="TimeoutError"), True, id="no-answer"),
    ],
)
def test_which_answers_are_tried_again(outcome: Outcome, again: bool) -> None:
    """All but 2xx, which is success, and 410, which is the receiver's last word."""
    assert (next_due(outcome, number=1, now=NOW, chance=0.0) is not None) is again
    assert outcome.delivered is (outcome.status in {200, 204, 299})
    assert outcome.gone is (outcome.status == 410)


@pytest.mark.parametrize(
    ("header", "wait_s"),
    [
        pytest.param("120", 120, id="seconds"),
        pytest.param(" 120 ", 120, id="spaces"),
        pytest.param("5", 30, id="never-sooner-than-the-schedule"),
        pytest.param("999999999999999999999", 86_400, id="a-day-at-most"),
        pytest.param("Fri, 15 Jan 2027 08:10:00 GMT", 600, id="date"),
        pytest.param("Fri, 15 Jan 2027 07:00:00 GMT", 30, id="date-gone-by"),
        pytest.param("Fri, 15 Jan 2199 07:00:00 GMT", 86_400, id="date-far-away"),
        pytest.param("soon", 30, id="nonsense"),
        pytest.param("-5", 30, id="negative"),
        pytest.param("١٢٠", 30, id="other-digits"),
        pytest.param("", 30, id="empty"),
    ],
)
def test_retry_after_is_honoured(header: str, wait_s: float) -> None:
    """Seconds or an HTTP date, within reason."""
    outcome = Outcome(status=429, retry_after=header)
    assert next_due(outcome, number=1, now=NOW, chance=0.0) == NOW + wait_s
