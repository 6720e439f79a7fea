"""Which of CTranslate2's kernels are used."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bridge.recognise.processor import ISA, WANTED, choose_kernels


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
