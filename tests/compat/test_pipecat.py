"""Pipecat's own speech-to-text services, pointed at us: how a voice agent's pipeline changes its recogniser.

They are no dependency of the tests: Pipecat brings models of its own. In a virtual environment of its own:
`pip install 'pipecat-ai[deepgram]'`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.real_server import KEY, RealServer
from tests.recorded import channels, said_in_turn
from tests.tones import LINE_RATE

pytest.importorskip("pipecat", reason="Pipecat is not installed: pip install 'pipecat-ai[deepgram]'")

from pipecat.frames.frames import InputAudioRawFrame, TranscriptionFrame
from pipecat.pipeline.worker import PipelineParams
from pipecat.services.deepgram.flux.stt import DeepgramFluxSTTService
from pipecat.services.deepgram.stt import DeepgramSTTService
from pipecat.services.smallest.stt import SmallestSTTService
from pipecat.tests.utils import SleepFrame, run_test

MONO = channels()[0]
STEP = LINE_RATE // 50
SETTLED_S = 4.0
"""Behind the last word: it comes; then more of the line is heard, which a microphone never leaves out."""

SERVICES: dict[str, Callable[[RealServer], Any]] = {
    "deepgram": lambda server: DeepgramSTTService(api_key=KEY, base_url=server.ws_url),
    "deepgram-flux": lambda server: DeepgramFluxSTTService(api_key=KEY, url=f"{server.ws_url}/v2/listen"),
    "smallest": lambda server: SmallestSTTService(api_key=KEY, base_url=server.ws_url),
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("name", SERVICES)
async def test_a_pipeline_hears(server: RealServer, name: str) -> None:
    """Every word as a transcription, in order."""
    audio = [
        InputAudioRawFrame(audio=MONO[at : at + STEP].tobytes(), sample_rate=LINE_RATE, num_channels=1)
        for at in range(0, len(MONO), STEP)
    ]
    more = [InputAudioRawFrame(audio=bytes(2 * STEP), sample_rate=LINE_RATE, num_channels=1) for _ in range(50)]
    down, _ = await run_test(
        SERVICES[name](server),
        frames_to_send=[SleepFrame(sleep=0.5), *audio, SleepFrame(sleep=SETTLED_S), *more, SleepFrame(sleep=SETTLED_S)],
        pipeline_params=PipelineParams(audio_in_sample_rate=LINE_RATE),
        start_timeout=20,
    )
    told = [frame.text for frame in down if isinstance(frame, TranscriptionFrame)]
    assert " ".join(told).split() == said_in_turn()
