"""A server among others: it says that it lives, and calls nobody dead who may only be out of everyone's reach."""

from __future__ import annotations

from bridge.errors import StoreError
from bridge.node import BEAT_S, LEASE_S, Lease
from tests.clock import VirtualClock


class Register:
    """A database that may be away."""

    def __init__(self) -> None:
        self.away = False
        self.beats: list[float] = []
        self.left = False

    async def beat(self, lease_s: float) -> None:
        if self.away:
            raise StoreError("away")
        self.beats.append(lease_s)

    async def leave(self) -> None:
        self.left = True


async def test_a_server_says_that_it_lives_long_before_its_lease_ends(clock: VirtualClock) -> None:
    """From before its first call on; and takes its leave."""
    register = Register()
    async with Lease(register, clock, shared=True):  # type: ignore[arg-type]
        await clock.advance(5 * BEAT_S)
        assert register.beats == [LEASE_S] * 6
        assert LEASE_S >= 3 * BEAT_S
    assert register.left


async def test_a_server_that_has_just_come_judges_nobody(clock: VirtualClock) -> None:
    """Those that seem dead get as long as a lease to be heard again."""
    async with Lease(Register(), clock, shared=True) as lease:  # type: ignore[arg-type]
        await clock.advance(LEASE_S - 0.1)
        assert not lease.may_judge()
        await clock.advance(0.1)
        assert lease.may_judge()


async def test_a_database_that_was_away_for_all(clock: VirtualClock) -> None:
    """While it is, and for a lease after, every lease has run out and nobody is dead."""
    register = Register()
    async with Lease(register, clock, shared=True) as lease:  # type: ignore[arg-type]
        await clock.advance(2 * LEASE_S)
        assert lease.may_judge()
        register.away = True
        await clock.advance(2 * LEASE_S)
        assert not lease.may_judge()
        register.away = False
        await clock.advance(BEAT_S)
        assert not lease.may_judge()
        await clock.advance(LEASE_S)
        assert lease.may_judge()


async def test_one_beat_that_is_not_heard(clock: VirtualClock) -> None:
    """It changes nothing: the lease outlasts it."""
    register = Register()
    async with Lease(register, clock, shared=True) as lease:  # type: ignore[arg-type]
        await clock.advance(LEASE_S)
        register.away = True
        await clock.advance(BEAT_S)
        register.away = False
        await clock.advance(BEAT_S)
        assert lease.may_judge()


async def test_a_server_that_is_alone_tells_nobody(clock: VirtualClock) -> None:
    """It has its database for itself, and finishes what an earlier process left at once."""
    register = Register()
    async with Lease(register, clock, shared=False) as lease:  # type: ignore[arg-type]
        assert lease.may_judge()
    assert register.beats == []
    assert not register.left
