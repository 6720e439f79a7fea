"""Smart Turn 3 (Daily, BSD-2-Clause), for comparison: eight seconds in, how sure it is that a turn is over out.

The ONNX file lies in the package `pipecat-ai`, at `pipecat/audio/turn/smart_turn/data/`; nothing of ours needs it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np

from bridge.model.frame import SAMPLE_RATE, Samples

HEARD: Final = 8 * SAMPLE_RATE
FRAMES: Final = 800


class SmartTurn:
    """One core, as its makers run it."""

    def __init__(self, path: Path) -> None:
        import onnxruntime  # noqa: PLC0415  # for the comparison alone
        from faster_whisper.feature_extractor import FeatureExtractor  # noqa: PLC0415

        options = onnxruntime.SessionOptions()
        options.inter_op_num_threads = options.intra_op_num_threads = 1
        self._session: Any = onnxruntime.InferenceSession(str(path), sess_options=options)
        self._features: Any = FeatureExtractor(feature_size=80, chunk_length=8)

    def probability(self, samples: Samples) -> float:
        """`samples` end where the decision is asked for; the last eight seconds count, silence stands before less."""
        heard = samples[-HEARD:]
        heard = np.pad(heard, (HEARD - len(heard), 0))
        heard = (heard - heard.mean()) / np.sqrt(heard.var() + 1e-7)
        features = self._features(heard.astype(np.float32), padding=0)[:, :FRAMES]
        features = np.pad(features, ((0, 0), (0, FRAMES - features.shape[1])))
        [[found]] = self._session.run(None, {"input_features": features[None].astype(np.float32)})[0]
        return float(found)
