"""What the processor can do, which kernels that means, and how long threads were kept from it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bridge.recognise.processor import ISA, WANTED, choose_kernels, has_vnni, kept_waiting_s


@pytest.fixture(autouse=True)
def nothing_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ISA, "to be put back")
    monkeypatch.delenv(ISA)


def cpuinfo(folder: Path, *flags: str) -> Path:
    path = folder / "cpuinfo"
    path.write_text(f"processor\t: 0\nmodel name\t: some\nflags\t\t: fpu sse2 {' '.join(flags)}\nbugs\t\t:\n")
    return path


def test_wide_registers_where_they_pay(tmp_path: Path) -> None:
    choose_kernels(cpuinfo(tmp_path, *WANTED))
    assert os.environ[ISA] == "AVX512"


@pytest.mark.parametrize("without", sorted(WANTED))
def test_a_processor_that_lacks_something_is_left_alone(tmp_path: Path, without: str) -> None:
    choose_kernels(cpuinfo(tmp_path, *(WANTED - {without})))
    assert ISA not in os.environ


def test_the_users_choice_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ISA, "GENERIC")
    choose_kernels(cpuinfo(tmp_path, *WANTED))
    assert os.environ[ISA] == "GENERIC"


def test_a_machine_that_does_not_say(tmp_path: Path) -> None:
    choose_kernels(tmp_path / "none")
    assert ISA not in os.environ


@pytest.mark.parametrize(("flag", "expected"), [("avx512_vnni", True), ("avx_vnni", True), ("avx512f", False)])
def test_products_of_8_bits(tmp_path: Path, flag: str, expected: bool) -> None:
    """Exact with either kind of VNNI."""
    assert has_vnni(cpuinfo(tmp_path, flag)) is expected
    assert not has_vnni(tmp_path / "none")


def test_time_without_a_processor_is_summed_over_threads(tmp_path: Path) -> None:
    """A thread that ends while it is looked at, and one that says nothing of itself, count for nothing."""
    for name, told in (("1", "900 2000000000 12\n"), ("2", "5 500000000 1\n"), ("3", ""), ("4", "no numbers here")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "schedstat").write_text(told)
    (tmp_path / "5").mkdir()
    assert kept_waiting_s(tmp_path) == pytest.approx(2.5)
    assert kept_waiting_s(tmp_path / "none") == 0
