"""Live sessions of other services' clients: their addresses' parameters, and their messages."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from multidict import MultiDict

from bridge.compat.assemblyai.live import AssemblyLive
from bridge.compat.deepgram.live import DeepgramLive
from bridge.compat.deepgram.turns import DeepgramTurns
from bridge.compat.dialogue import Dialect, Finish
from bridge.compat.neuralspace.live import NeuralSpaceLive
from bridge.compat.openai.realtime import Realtime
from bridge.compat.openai.session import Session
from bridge.compat.smallest.live import SmallestLive
from bridge.compat.speechmatics.live import SpeechmaticsLive
from bridge.compat.telnyx.live import TelnyxLive
from bridge.errors import BridgeError
from tests.fuzz.mutation import Mutation
from tests.fuzz.parsers import Parser

Query = MultiDict[str]


@dataclass(frozen=True, kw_only=True)
class Service:
    """`open` with an address's parameters; good ones, and good messages."""

    open: Callable[[Query], Dialect]
    query: Mapping[str, str]
    messages: tuple[Mapping[str, Any], ...]


RAW: Final = {"encoding": "linear16", "sample_rate": "16000", "language": "en"}
REALTIME: Final = {
    "type": "transcription",
    "audio": {
        "input": {
            "format": {"type": "audio/pcm", "rate": 24000},
            "transcription": {"model": "whisper-1", "language": "en", "prompt": "Harbor"},
            "turn_detection": {"type": "server_vad", "threshold": 0.5, "silence_duration_ms": 500},
        }
    },
    "include": ["item.input_audio_transcription.logprobs"],
}
OLDER: Final = {
    "input_audio_format": "g711_ulaw",
    "input_audio_transcription": {"model": "gpt-4o-transcribe", "language": "de"},
    "turn_detection": {"type": "semantic_vad", "eagerness": "high"},
}
RECOGNITION: Final = {
    "message": "StartRecognition",
    "audio_format": {"type": "raw", "encoding": "pcm_s16le", "sample_rate": 16000},
    "transcription_config": {
        "language": "en",
        "enable_partials": True,
        "diarization": "speaker",
        "additional_vocab": ["Harbor", {"content": "Lane", "sounds_like": ["Layn"]}],
        "conversation_config": {"end_of_utterance_silence_trigger": 0.7},
    },
}

SERVICES: Final[Mapping[str, Service]] = {
    "assemblyai": Service(
        open=lambda query: AssemblyLive(query, session_id="s", now=lambda: 0.0, model="base"),
        query={**RAW, "encoding": "pcm_s16le", "format_turns": "true", "keyterms_prompt": '["Harbor"]'},
        messages=(
            {"type": "UpdateConfiguration", "format_turns": True},
            {"type": "ForceEndpoint"},
            {"type": "Terminate"},
        ),
    ),
    "deepgram": Service(
        open=lambda query: DeepgramLive(query, request_id="r", now=0.0, model="base"),
        query={**RAW, "channels": "2", "multichannel": "true", "endpointing": "300", "keyterm": "Harbor:2"},
        messages=({"type": "KeepAlive"}, {"type": "Finalize"}, {"type": "CloseStream"}),
    ),
    "deepgram-turns": Service(
        open=lambda query: DeepgramTurns(query, request_id="r", model="base"),
        query={
            **RAW,
            "model": "flux-general-en",
            "eot_threshold": "0.7",
            "eager_eot_threshold": "0.5",
            "eot_timeout_ms": "5000",
        },
        messages=({"type": "Configure", "thresholds": {"eot_threshold": 0.8}}, {"type": "CloseStream"}),
    ),
    "neuralspace": Service(
        open=lambda query: NeuralSpaceLive(query, language="en", session="s", stream_id="i", now=lambda: 0.0),
        query={"max_chunk_size": "3", "vad_threshold": "0.5", "disable_partial": "false"},
        messages=({"type": "finalize"},),
    ),
    "openai-realtime": Service(
        open=lambda _: Realtime(Session(), session_id="sess_1", model="base", older=False),
        query={},
        messages=(
            {"type": "session.update", "event_id": "e1", "session": REALTIME},
            {"type": "transcription_session.update", "session": OLDER},
            {"type": "input_audio_buffer.append", "audio": "AAAAAAAAAAA="},
            {"type": "input_audio_buffer.commit"},
            {"type": "input_audio_buffer.clear"},
        ),
    ),
    "smallest": Service(
        open=lambda query: SmallestLive(query, session_id="s", model="base"),
        query={**RAW, "word_timestamps": "true", "keywords": "Harbor:2", "eou_timeout_ms": "800"},
        messages=({"type": "finalize"}, {"type": "close_stream"}),
    ),
    "speechmatics": Service(
        open=lambda _: SpeechmaticsLive(session_id="s", model="base"),
        query={},
        messages=(
            RECOGNITION,
            {"message": "SetRecognitionConfig", "transcription_config": {"language": "en"}},
            {"message": "ForceEndOfUtterance"},
            {"message": "EndOfStream", "last_seq_no": 3},
        ),
    ),
    "telnyx": Service(
        open=lambda query: TelnyxLive(query, session_id="s", model="base"),
        query={"input_format": "mulaw", "sample_rate": "8000", "interim_results": "true", "keywords": "Harbor"},
        messages=({"type": "Finalize"}, {"type": "CloseStream"}),
    ),
}


def draw_session(service: Service, by: Mutation) -> tuple[Query, list[str | bytes]]:
    query = MultiDict(by.pairs(service.query) if by.chance(0.6) else service.query)
    said: list[str | bytes] = [json.dumps(service.messages[0])] if by.chance(0.5) else []
    for _ in range(by.between(1, 5)):
        sent = b"\x01\x02" * 40 if by.chance(0.3) else json.dumps(by.one_of(service.messages))
        said.append(by.message(sent) if by.chance(0.7) else sent)
    return query, said


def converse(service: Service, given: tuple[Query, list[str | bytes]]) -> None:
    """What is refused is told in the service's words, and ends the session."""
    query, messages = given
    dialect = service.open(query)
    wishes = [*dialect.opened()]
    for message in messages:
        try:
            wishes += dialect.receive(message)
        except BridgeError as error:
            last = dialect.fault(error)
            assert any(isinstance(wish, Finish) for wish in last), "a fault that does not end the session"
            return
        wishes += [*dialect.heard(1000), *dialect.quiet(1.0)]


def sessions() -> Mapping[str, Parser]:
    """By name."""
    return {
        f"session-{name}": Parser(
            draw=partial(draw_session, service), read=partial(converse, service), documented=(BridgeError,)
        )
        for name, service in SERVICES.items()
    }
