"""Any run of samples, cut into windows of one size."""

from __future__ import annotations

import numpy as np

from bridge.model.frame import Samples


class Framer:
    """Cuts a stream into exact windows, e.g. 320-sample frames into a VAD's 512."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._held: Samples = np.empty(0, np.float32)

    def push(self, samples: Samples) -> Samples:
        """The windows now complete, shape (k, size)."""
        run = np.concatenate([self._held, samples]) if len(self._held) else samples
        whole = len(run) - len(run) % self._size
        self._held = run[whole:]
        return run[:whole].reshape(-1, self._size)

    def flush(self) -> Samples:
        """The call ended: what is held, padded with silence, shape (0 or 1, size)."""
        if not len(self._held):
            return np.empty((0, self._size), np.float32)
        last = np.zeros((1, self._size), np.float32)
        last[0, : len(self._held)] = self._held
        self._held = self._held[:0]
        return last
