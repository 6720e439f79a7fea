"""Weights and engine as the settings name them, with a bar for those who wait: joining and checking takes a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from bridge.cli.progress import bars
from bridge.ports import Clock
from bridge.recognise import weights
from bridge.recognise.local import LocalEngine, open_engine
from bridge.settings import Settings
from bridge.speakers.encoder import CampPlusEncoder
from bridge.speakers.weights import SEGMENTATION, find_model


@contextmanager
def _reading(name: str) -> Iterator[weights.Progress]:
    """How much of the weights has been read; then that the model loads, which nobody can measure."""
    known = weights.KNOWN.get(name)
    with bars() as progress:
        task = progress.add_task(f"Checking the weights of {name}", total=known.size if known else None)

        def read(count: int) -> None:
            progress.advance(task, count)
            if progress.tasks[0].finished:
                progress.update(task, description="Loading the model", total=None)

        yield read


def find_weights(name: str, settings: Settings) -> weights.Found:
    """Find, join and check weights as the server would. Raises SetupError."""
    with _reading(name) as read:
        return weights.find(name, model_dir=settings.model_dir, download=settings.model_download, progress=read)


def engine_for(settings: Settings, clock: Clock) -> LocalEngine:
    """The engine that the settings name. Raises SetupError."""
    with _reading(settings.model) as read:
        return open_engine(settings, clock, read)


def voices_for(settings: Settings) -> CampPlusEncoder:
    """What tells speakers apart, as the settings name it. Raises SetupError."""
    path = find_model(settings.speaker_model, model_dir=settings.model_dir)
    return CampPlusEncoder(lambda: path, partial(find_model, SEGMENTATION, model_dir=settings.model_dir))
