"""What a call may choose about its turns."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.turns.options import PRESETS, TurnOptions, turn_options


@pytest.mark.parametrize(
    ("parameters", "changed"),
    [
        pytest.param({}, {}, id="nothing said: captions"),
        pytest.param({"turns": "nonsense"}, {}, id="an unknown preset"),
        pytest.param({"eot_threshold": "0.9"}, {"threshold": 0.9}, id="a threshold"),
        pytest.param({"eot_threshold": "7"}, {"threshold": 0.99}, id="a threshold beyond what there is"),
        pytest.param({"eot_threshold": "much"}, {}, id="a threshold that is no number"),
        pytest.param({"eager_eot_threshold": "0.4"}, {"eager_threshold": 0.4}, id="an eager threshold"),
        pytest.param(
            {"eot_threshold": "0.6", "eager_eot_threshold": "0.9"},
            {"threshold": 0.6, "eager_threshold": 0.6},
            id="an eager threshold above the other",
        ),
        pytest.param({"eot_timeout_ms": "1500"}, {"timeout_ms": 1500}, id="a time-out"),
        pytest.param({"eot_timeout_ms": "1"}, {"timeout_ms": 300}, id="a time-out that is none"),
    ],
)
def test_what_a_call_may_choose(parameters: dict[str, str], changed: dict[str, Any]) -> None:
    """Within limits; what cannot be read is left as it was."""
    usual = PRESETS["captions"]
    fields = {name: getattr(usual, name) for name in TurnOptions.__slots__}
    assert turn_options(parameters) == TurnOptions(**{**fields, **changed})


def test_presets_are_chosen_by_name() -> None:
    """`bot` answers sooner than `captions`, and `off` is silent."""
    assert turn_options({"turns": " Bot "}) == PRESETS["bot"]
    assert turn_options({"turns": "off"}) is None
    assert PRESETS["bot"].threshold <= PRESETS["captions"].threshold
