"""Whisper's decoder on ONNX Runtime: one token of every text at a time, and with each where in the window it was heard.

For CPUs whose 8-bit products are exact and quick (VNNI). A token costs half of what CTranslate2 takes without MKL, what
stands before a text one step in all, and word times nothing: the decoder has looked there anyway.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
import onnxruntime
import tokenizers

from bridge.errors import SetupError
from bridge.recognise.decoder_graph import FOUND, Shape, memory_graph, step_graph
from bridge.recognise.decoders import More, Said, Text, Times, nobody
from bridge.recognise.model_file import ModelFile, Weights
from bridge.recognise.word_times import token_starts

EMBEDDINGS: Final = "decoder/embeddings/weight"
POSITIONS: Final = "decoder/position_encodings/encodings"

GELU: Final = 3
"""CTranslate2's number for the one activation that we have."""

NEVER: Final = np.float32(-1e9)
"""Added to what must not count; and to what does."""
ZERO: Final = np.float32(0)

LEAST_SHARE: Final = 1e-30
"""Of probability; there is no logarithm of less."""

Values: TypeAlias = Mapping[str, onnxruntime.OrtValue]
Integers: TypeAlias = npt.NDArray[np.int64]


class PackedDecoder:
    """Fills `Decoder` for one hypothesis. Texts decoded together may differ in all they have."""

    joins = True

    def __init__(self, folder: Path, texts: tokenizers.Tokenizer, *, threads: int = 1) -> None:
        """Raises SetupError when the weights are not such as we have graphs for."""
        file = folder / "model.bin"
        weights, config = ModelFile(file), json.loads((folder / "config.json").read_text("utf-8"))
        self._texts = texts
        try:
            self.shape = _shape(weights, config, texts)
            self._look_up = _Session(memory_graph(weights, self.shape), threads)
            self._decode = _Session(step_graph(weights, self.shape), threads)
            never, not_first = config["suppress_ids"], config["suppress_ids_begin"]
        except KeyError as error:
            raise SetupError(f"the weights in {folder} are of another kind: they have no {error}") from error
        heads, size = self.shape.heads, self.shape.size
        nothing = {
            "keys": np.zeros((1, heads, size, 0), np.float32),
            "values": np.zeros((1, heads, 0, size), np.float32),
        }
        self._no_past = {
            f"past_{name}.{layer}": _value(empty)
            for layer in range(self.shape.layers)
            for name, empty in nothing.items()
        }
        self._rows = ModelFile(file)  # opened anew: of what was read once, nothing stays in memory
        every, end = len(self._rows[EMBEDDINGS]), self.shape.end_of_text
        never = [*never, *range(end + 1, every)]
        self._later, self._first = _but(every, never), _but(every, [*never, *not_first])
        self._endless = _but(every, [*never, end])
        self._languages = 1 - _but(every, config.get("lang_ids", []))

    def language(self, states: Any) -> tuple[str, float]:
        """See `Decoder.language`."""
        start = _token("<|startoftranscript|>", self._texts)
        text = Text(states=states, prompt=(start,), start=0, forced=0, cap=1)
        [going] = self._begin(_Going(0, text, self.shape.end_of_text), self._languages).riding
        return str(self._texts.id_to_token(going.tokens[0]))[2:-2], going.probabilities[0]

    def decode(self, texts: Sequence[Text], more: More = nobody) -> Iterator[tuple[int, Said]]:
        """The likeliest token at each step. See `Decoder.decode`."""
        places = itertools.count()
        batch, coming = _Batch(), texts
        while coming or batch.riding:
            for text in coming:
                alone = self._begin(_Going(next(places), text, self.shape.end_of_text), self._allowed(text, first=True))
                yield from alone.ended()
                batch = batch.join(alone.tidy())
            if batch.riding:
                self._go_on(batch)
                yield from batch.ended()
                batch = batch.tidy()
            coming = more(not batch.riding)

    def _begin(self, going: _Going, allowed: Weights) -> _Batch:
        """A batch of one text, behind its prompt."""
        text = going.text
        length, states = len(text.prompt), text.states.shape[1]
        batch = _Batch(
            riding=[going],
            window=self._look_up.run({"states": _value(np.array(text.states))}),
            past=self._no_past,
            hidden=np.zeros((1, length), np.float32),
            beyond=np.zeros((1, states), np.float32),
            ends=np.array([length]),
        )
        later = np.triu(np.full((1, length, length), NEVER, np.float32), 1)
        rows = np.array([length - 1, text.start])
        going.begin(self._step(batch, np.array([text.prompt]), later, rows, allowed))
        return batch

    def _go_on(self, batch: _Batch) -> None:
        """One more token of each text."""
        tokens = np.array([going.tokens[-1:] or [0] for going in batch.riding])
        batch.ends = batch.ends + 1
        batch.hidden = np.pad(batch.hidden, ((0, 0), (0, 1)))
        each = [self._allowed(going.text, first=False) for going in batch.riding]
        allowed = each[0] if all(one is each[0] for one in each) else np.concatenate(each)
        found = self._step(batch, tokens, batch.hidden[:, np.newaxis], np.arange(len(tokens)), allowed)
        for row, going in enumerate(batch.riding):
            going.go_on(found, row)

    def _step(self, batch: _Batch, tokens: Integers, hidden: Weights, rows: Integers, allowed: Weights) -> _Found:
        """`tokens` [rows of the batch, steps] are the last that stand before its ends."""
        positions = batch.ends[:, np.newaxis] + np.arange(-tokens.shape[1], 0)
        positions = np.minimum(positions, len(self._rows[POSITIONS]) - 1)  # which texts that have ended ride beyond
        outputs = self._decode.run(
            {
                "tokens": _value(self._rows.weights(EMBEDDINGS, tokens) + self._rows.weights(POSITIONS, positions)),
                "hidden": _value(hidden[:, np.newaxis]),
                "beyond": _value(batch.beyond[:, np.newaxis, np.newaxis]),
                "rows": _value(rows),
                "allowed": _value(allowed),
                **batch.window,
                **batch.past,
            }
        )
        batch.past = {f"past_{name}": outputs[f"present_{name}"] for name in batch.window}
        return _Found(*(outputs[name].numpy() for name in FOUND))

    def _allowed(self, text: Text, *, first: bool) -> Weights:
        if text.endless:
            return self._endless
        return self._first if first and not text.forced else self._later


@dataclass(frozen=True, slots=True)
class _Found:
    """What a step found, in each of its rows: `FOUND`, in its order."""

    next: Integers
    probability: Weights
    no_speech: Weights
    attention: Weights


class _Going:
    """A text as far as it is decoded."""

    def __init__(self, place: int, text: Text, end_of_text: int) -> None:
        self.place = place
        self.text = text
        self.tokens: list[int] = []
        self.probabilities: list[float] = []
        """Of each token."""
        self.ended = False
        self.told = False
        self._end_of_text = end_of_text
        self._no_speech = 0.0
        self._log_probability = 0.0
        self._attention: list[Weights] = []

    def begin(self, found: _Found) -> None:
        """What follows on the prompt."""
        self._no_speech = float(found.no_speech[1])
        self._hear(found, 0, found.attention[0, :, self.text.start :])

    def go_on(self, found: _Found, row: int) -> None:
        """What follows on the last token, unless it was the last of all."""
        if not self.ended:
            self._hear(found, row, found.attention[row])

    def _hear(self, found: _Found, row: int, attention: Weights) -> None:
        following, probability = int(found.next[row]), float(found.probability[row])
        self._attention.append(attention[:, :, : self.text.states.shape[1]])
        self._log_probability += math.log(max(probability, LEAST_SHARE))
        is_end = following == self._end_of_text
        if not is_end:
            self.tokens.append(following)
            self.probabilities.append(probability)
        self.ended = is_end or len(self.tokens) == self.text.cap

    def said(self) -> Said:
        return Said(
            tokens=self.tokens,
            average_log_probability=self._log_probability / max(1, len(self.tokens)),
            no_speech_probability=self._no_speech,
            times=self._times,
        )

    def _times(self, count: int, states: int) -> Times:
        # A row looks for the token behind its own: the last of the prompt for the first of the text, and the last of
        # the text for its end.
        start = len(self.text.prompt) - self.text.start - self.text.forced - 1
        attention = np.concatenate(self._attention, axis=1)[:, : start + self.text.forced + count + 1, :states]
        return token_starts(attention, start), [1.0] * self.text.forced + self.probabilities[:count]


@dataclass(slots=True, kw_only=True)
class _Batch:
    """Texts that are decoded together, a row each, whatever the lengths of their windows and of what they have said."""

    riding: list[_Going] = field(default_factory=list)
    window: Values = field(default_factory=dict)
    past: Values = field(default_factory=dict)
    hidden: Weights = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    """[rows, known]: added to how a row looks at its past, which is as long as the longest."""
    beyond: Weights = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    """[rows, states]: added to how it looks at its window."""
    ends: Integers = field(default_factory=lambda: np.zeros(0, np.int64))
    """Where the next token of each row stands."""

    def ended(self) -> Iterator[tuple[int, Said]]:
        """Texts that have ended since this was asked."""
        for going in self.riding:
            if going.ended and not going.told:
                going.told = True
                yield going.place, going.said()

    def join(self, other: _Batch) -> _Batch:
        """Both."""
        if not self.riding or not other.riding:
            return self if self.riding else other
        return _Batch(
            riding=[*self.riding, *other.riding],
            window=_joined(self.window, other.window),
            past=_joined(self.past, other.past),
            hidden=_stacked([self.hidden, other.hidden], 1, NEVER),
            beyond=_stacked([self.beyond, other.beyond], 1, NEVER),
            ends=np.concatenate([self.ends, other.ends]),
        )

    def tidy(self) -> _Batch:
        """Without the texts that have ended, as soon as they are half of all: to take them out costs a step."""
        rows = [row for row, going in enumerate(self.riding) if not going.ended]
        if 2 * len(rows) > len(self.riding):
            return self
        if not rows:
            return _Batch()
        riding = [self.riding[row] for row in rows]
        states = max(going.text.states.shape[1] for going in riding)
        return _Batch(
            riding=riding,
            window=_kept(self.window, rows, states),
            past=_kept(self.past, rows, self.hidden.shape[1]),
            hidden=self.hidden[rows],
            beyond=self.beyond[rows, :states],
            ends=self.ends[rows],
        )


def _shape(weights: ModelFile, config: Mapping[str, Any], texts: tokenizers.Tokenizer) -> Shape:
    """Raises KeyError with what they lack."""
    if int(weights["decoder/activation"]) != GELU:
        raise KeyError("GELU")
    layers = sum(name.startswith("decoder/") and name.endswith("/self_attention/linear_0/weight") for name in weights)
    heads = int(weights["decoder/num_heads"])
    # Without a list CTranslate2 takes all heads of the second half, as Whisper's authors do.
    every = [(layer, head) for layer in range(layers // 2, layers) for head in range(heads)]
    return Shape(
        layers=layers,
        heads=heads,
        width=weights[EMBEDDINGS].shape[1],
        end_of_text=_token("<|endoftext|>", texts),
        no_speech=_token("<|nospeech|>" if texts.token_to_id("<|nospeech|>") else "<|nocaptions|>", texts),
        alignment=tuple((layer, head) for layer, head in config.get("alignment_heads") or every),
    )


def _token(name: str, texts: tokenizers.Tokenizer) -> int:
    token = texts.token_to_id(name)
    if token is None:
        raise KeyError(name)
    return token


class _Session:
    """A graph that runs."""

    def __init__(self, graph: bytes, threads: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.enable_cpu_mem_arena = False  # it would keep what the longest windows took, for good
        self._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        self._outputs = [output.name for output in self._session.get_outputs()]

    def run(self, inputs: Values) -> Values:
        return dict(zip(self._outputs, self._session.run_with_ort_values(self._outputs, inputs), strict=True))


def _value(array: npt.NDArray[Any]) -> onnxruntime.OrtValue:
    return onnxruntime.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(array))


def _but(length: int, tokens: Sequence[int]) -> Weights:
    """[1, length]: 1 for all tokens but these."""
    allowed = np.ones((1, length), np.float32)
    allowed[0, tokens] = 0
    return allowed


def _joined(values: Values, others: Values) -> Values:
    return {
        name: _value(_stacked([value.numpy(), others[name].numpy()], _growing(name))) for name, value in values.items()
    }


def _kept(values: Values, rows: Sequence[int], length: int) -> Values:
    return {
        name: _value(value.numpy()[rows, :, :, :length] if _growing(name) == 3 else value.numpy()[rows, :, :length])
        for name, value in values.items()
    }


def _growing(name: str) -> int:
    """The axis of states, or of steps."""
    return 3 if "keys" in name else 2


def _stacked(parts: Sequence[Weights], axis: int, filling: np.float32 = ZERO) -> Weights:
    """Rows of all, those that are shorter along `axis` filled up."""
    longest = max(part.shape[axis] for part in parts)
    if all(part.shape[axis] == longest for part in parts):
        return np.concatenate(parts)
    shape = [sum(map(len, parts)), *parts[0].shape[1:]]
    shape[axis] = longest
    whole, at = np.full(shape, filling, np.float32), 0
    for part in parts:
        whole[(slice(at, at + len(part)), *(slice(size) for size in part.shape[1:]))] = part
        at += len(part)
    return whole
