"""What a machine is trusted with, by what it was measured to do."""

from __future__ import annotations

import pytest

from bridge.recognise.local import Tuning, capacity, quickest, tuning


@pytest.mark.parametrize(
    ("final_s", "workers", "calls"), [(0.16, 2, 20), (0.16, 4, 40), (0.32, 2, 10), (0.005, 2, 640), (10.0, 1, 1)]
)
def test_a_machine_twice_as_fast_carries_twice_the_calls(final_s: float, workers: int, calls: int) -> None:
    """In proportion to workers and speed; a machine that starts at all takes one call."""
    assert capacity(final_s, workers) == calls


@pytest.mark.parametrize(
    ("rehearsals", "decoder", "final_s"),
    [
        ([{"library": 0.16}], "library", 0.16),
        ([{"library": 0.5, "packed": 0.3}, {"library": 0.2, "packed": 0.15}], "packed", 0.15),
        ([{"library": 0.5, "packed": 0.3}, {"library": 0.16, "packed": 0.2}], "library", 0.16),
    ],
    ids=["there-is-no-other", "after-the-first-warmed-up", "beside-other-work"],
)
def test_the_quickest_decoder(rehearsals: list[dict[str, float]], decoder: str, final_s: float) -> None:
    """Of all rehearsals the fastest counts."""
    assert quickest(rehearsals) == (decoder, final_s)


@pytest.mark.parametrize(
    ("device", "cores", "size", "tuned"),
    [
        ("cpu", 1, 145_000_000, Tuning(workers=1, threads=1, max_batch=4, apart=1)),
        ("cpu", 2, 145_000_000, Tuning(workers=2, threads=1, max_batch=4, apart=1)),
        ("cpu", 64, 145_000_000, Tuning(workers=8, threads=1, max_batch=4, apart=4)),
        ("cpu", 8, 3_000_000_000, Tuning(workers=8, threads=1, max_batch=4, apart=0)),
        ("cuda", 16, 145_000_000, Tuning(workers=2, threads=1, max_batch=16, apart=0)),
    ],
    ids=["one-core", "base", "many-cores", "large-weights", "a-gpu"],
)
def test_how_a_machine_is_driven(device: str, cores: int, size: int, tuned: Tuning) -> None:
    """A thread a core on CPUs, and half as many apart, unless that would cost gigabytes; batches on GPUs."""
    assert tuning(device, cores, size) == tuned
