"""Whisper, driven directly: windows sized to the speech, encoded one by one by CTranslate2, decoded together.

What a job asks of the model, and what the tokens that it gives mean. Everything here blocks and belongs in a worker
thread.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import ctranslate2
import numpy as np
import structlog
import tokenizers
from faster_whisper.feature_extractor import FeatureExtractor
from faster_whisper.tokenizer import Tokenizer

from bridge.errors import EngineError, SetupError
from bridge.model.frame import SAMPLE_RATE, Samples
from bridge.ports import Decoded, DecodedWord, DecodeJob, Urgency
from bridge.recognise.decoders import Decoder, Said, Text, nobody
from bridge.recognise.library_decoder import TEXT_CONTEXT, LibraryDecoder
from bridge.recognise.packed_decoder import PackedDecoder
from bridge.recognise.processor import choose_kernels, has_vnni
from bridge.recognise.window import (
    BRISK_BUCKETS_S,
    BUCKETS_S,
    FULL_WINDOW_S,
    PARTIAL_BUCKETS_S,
    PREVIOUS_TOKENS,
    hurried,
    previous_length,
    token_cap,
    window_s,
)
from bridge.recognise.workers import Encoded

log = structlog.get_logger()

FRAMES_PER_S: Final = 100
"""Log-mel frames a second; the encoder gives one state for two of them."""

SAMPLES_PER_STATE: Final = 2 * SAMPLE_RATE // FRAMES_PER_S

MAX_TOKENS: Final = TEXT_CONTEXT // 2
"""What one window may say."""

LONG_RUN: Final = 5

CAREFUL_BEAM: Final = 5
"""Hypotheses followed at once. Live finals follow one: on short speech a beam gains them nothing."""

REHEARSED_TOKENS: Final = 15

LEADING: Final = " .,;:!?…"
"""What a text does not begin with; behind a forced prefix a decode may first end its sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a job will ask of the model."""

    job: DecodeJob
    window_s: int
    previous: tuple[int, ...]
    prefix: tuple[int, ...]
    cap: int
    """New tokens at which the decode counts as run away."""
    hurried: int
    """New tokens from which repetition counts as a loop: people repeat themselves, but not in such haste."""
    beam: int

    @property
    def previous_tokens(self) -> int:
        return len(self.previous)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Raw:
    """One decode before it is read."""

    said: Said
    tokens: list[int]
    """As far as they count."""
    language: str
    language_probability: float
    states: int
    """Of its window."""
    retried: bool = False


class Whisper:
    """One model for the whole process. `encode` and `decode` may be called from as many threads as `workers`."""

    def __init__(
        self,
        folder: Path,
        *,
        device: str = "auto",
        compute_type: str = "auto",
        workers: int = 1,
        threads: int = 1,
        like: Whisper | None = None,
    ) -> None:
        """`like` is another of the same, whose decoder of ours and whose choice of decoders are this one's too: none of
        CTranslate2's, since its threads are. Raises SetupError when the folder holds no model CTranslate2 can load.
        """
        self.device = self.device_for(device)
        self.compute_type = compute_type if compute_type != "auto" else ("float16" if self.device == "cuda" else "int8")
        choose_kernels()
        try:
            self._model: Any = ctranslate2.models.Whisper(
                str(folder),
                device=self.device,
                compute_type=self.compute_type,
                inter_threads=workers,
                intra_threads=threads,
            )
            self._texts = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
        except (RuntimeError, ValueError, Exception) as error:  # tokenizers raises bare Exception
            raise SetupError(f"the weights in {folder} cannot be loaded: {error}") from error
        self.multilingual: bool = self._model.is_multilingual
        self._features = FeatureExtractor(feature_size=self._model.n_mels)
        self._tokenizers: dict[str, Tokenizer] = {}
        self._start = self._tokenizer("en")
        shared: dict[str, Decoder] = like.decoders if like else self._packed(folder, threads)
        self.decoders: dict[str, Decoder] = {
            **shared,
            "library": LibraryDecoder(self._model, end_of_text=self._start.eot),
        }
        self.decoder: str = like.decoder if like else next(iter(self.decoders))
        """Which one follows a single hypothesis; see `use`."""

    @staticmethod
    def device_for(wanted: str) -> str:
        """`cpu` or `cuda`: what `auto` means on this machine."""
        if wanted != "auto":
            return wanted
        return "cuda" if ctranslate2.get_cuda_device_count() > 0 else "cpu"

    def _packed(self, folder: Path, threads: int) -> dict[str, Decoder]:
        """Our own decoder, where it may be the quicker one."""
        if self.compute_type != "int8" or self.device != "cpu" or not has_vnni():
            return {}
        try:
            return {"packed": PackedDecoder(folder, self._texts, threads=threads)}
        except SetupError as error:
            log.warning("CTranslate2 decodes these weights, which takes longer", reason=str(error))
            return {}

    @property
    def languages(self) -> tuple[str, ...]:
        """Codes this model can be asked for."""
        from faster_whisper.tokenizer import _LANGUAGE_CODES  # noqa: PLC0415  # the library has no public list

        return tuple(_LANGUAGE_CODES) if self.multilingual else ("en",)

    def use(self, decoder: str) -> None:
        """Follow single hypotheses with this one of `decoders`, and let go of what is then left without work."""
        self.decoder = decoder
        self.decoders = {name: self.decoders[name] for name in ("library", decoder)}

    def rehearse(self) -> dict[str, float]:
        """Seconds that a final of four seconds and a dozen words takes here with each decoder, alone: on a CPU its own
        seconds, whatever else wants the cores just now. Nothing is said; the first time also warms the model up.
        """
        clock = time.perf_counter if self.device == "cuda" else time.process_time
        noise = np.random.default_rng(0).normal(0, 0.01, 4 * SAMPLE_RATE).astype(np.float32)
        plan = self.plan(DecodeJob(samples=noise, urgency=Urgency.FINAL, deadline=0, language="en"))
        began = clock()
        text = replace(self._text(Encoded(plan, self._states(plan)), "en"), cap=REHEARSED_TOKENS, endless=True)
        encoding_s, took = clock() - began, {}
        for name, decoder in self.decoders.items():
            began = clock()
            [(_, said)] = decoder.decode([text])
            said.times(REHEARSED_TOKENS, text.states.shape[1])
            took[name] = encoding_s + clock() - began
        return took

    def plan(self, job: DecodeJob) -> Plan:
        """How `job` will be decoded. Cheap; raises EngineError when its samples fit no window, or for a language that
        the model does not know.
        """
        if len(job.samples) > FULL_WINDOW_S * SAMPLE_RATE:
            raise EngineError(f"{len(job.samples) / SAMPLE_RATE:.1f} s of speech do not fit one window")
        texts = self._tokenizer(job.language or "en")
        prefix = texts.encode(" " + job.prefix_text.strip()) if job.prefix_text.strip() else []
        previous = self._previous(texts, job)
        partial = job.urgency is Urgency.PARTIAL
        buckets = PARTIAL_BUCKETS_S if partial else BRISK_BUCKETS_S if job.brisk else BUCKETS_S
        new = len(job.samples) - job.known
        return Plan(
            job=job,
            window_s=FULL_WINDOW_S if job.careful else window_s(len(job.samples), buckets),
            previous=previous,
            prefix=tuple(token for token in prefix if token < texts.eot)[-MAX_TOKENS // 2 :],
            cap=min(token_cap(new, partial=partial), MAX_TOKENS),
            hurried=hurried(new),
            beam=CAREFUL_BEAM if job.careful else 1,
        )

    def encode(self, plan: Plan) -> Encoded[Plan]:
        """The first step of a job. Raises EngineError, whatever it was that failed."""
        try:
            return Encoded(plan, self._states(plan))
        except Exception as error:
            raise EngineError(f"the model failed: {error}") from error

    @property
    def joins(self) -> bool:
        """Whether jobs can join a decode that runs."""
        return self.decoders[self.decoder].joins

    def decode(
        self, batch: Sequence[Encoded[Plan]], more: Callable[[bool], Sequence[Encoded[Plan]]] = nobody
    ) -> Iterator[tuple[int, Decoded]]:
        """The second step of jobs that can be decoded together: what each says, with its place in `batch` or behind it,
        as soon as it is known. `more` join them (see `More`). Raises EngineError, whatever it was that failed.
        """
        try:
            ran_away = []
            for place, plan, raw in self._generate(batch, more):
                kept = self._without_loop(plan, raw)
                if kept is None:
                    ran_away.append((place, plan, raw))
                else:
                    yield place, self._read(plan, kept)
            for place, plan, raw in ran_away:  # last, as nobody else should wait for it
                yield place, self._read(plan, self._again(plan, raw))
        except Exception as error:
            raise EngineError(f"the model failed: {error}") from error

    def _without_loop(self, plan: Plan, raw: _Raw) -> _Raw | None:
        """None where it ran away without a loop, which one that is no partial must be decoded again for."""
        if len(raw.tokens) < plan.hurried:
            return raw
        short = replace(raw, tokens=without_loop(raw.tokens))
        ran_away = len(raw.tokens) >= plan.cap and len(short.tokens) == len(raw.tokens)
        return None if ran_away and plan.job.urgency is not Urgency.PARTIAL else short

    def _previous(self, texts: Tokenizer, job: DecodeJob) -> tuple[int, ...]:
        """Keywords, always, and as much of what was said last as the number of tokens leaves room for."""
        keywords = texts.encode(f" {', '.join(job.keywords)}.")[: PREVIOUS_TOKENS[-1]] if job.keywords else []
        said = texts.encode(" " + job.previous_text.strip()) if job.previous_text.strip() else []
        length = max(previous_length(len(keywords) + len(said)), len(keywords))
        return (*keywords, *said[len(keywords) + len(said) - length :])

    def _tokenizer(self, language: str) -> Tokenizer:
        if language not in self._tokenizers:
            spoken = language if self.multilingual else "en"
            try:
                self._tokenizers[language] = Tokenizer(
                    self._texts, self.multilingual, task="transcribe", language=spoken
                )
            except ValueError as error:
                raise EngineError(f"the model knows no language {language!r}") from error
        return self._tokenizers[language]

    def _states(self, plan: Plan) -> Any:
        padded: Samples = np.zeros(plan.window_s * SAMPLE_RATE, np.float32)
        padded[: len(plan.job.samples)] = plan.job.samples
        mel = self._features(padded, padding=0)[:, : plan.window_s * FRAMES_PER_S]
        return self._model.encode(_view(np.ascontiguousarray(mel[np.newaxis])), to_cpu=self.device == "cuda")

    def _decoder(self, plan: Plan) -> Decoder:
        return self.decoders[self.decoder if plan.beam == 1 else "library"]

    def _language(self, plan: Plan, states: Any) -> tuple[str, float]:
        if plan.job.language is not None or not self.multilingual:
            return plan.job.language or "en", 1.0
        return self._decoder(plan).language(states)

    def _generate(
        self, batch: Sequence[Encoded[Plan]], more: Callable[[bool], Sequence[Encoded[Plan]]] = nobody
    ) -> Iterator[tuple[int, Plan, _Raw]]:
        jobs: list[tuple[Encoded[Plan], str, float]] = []

        def texts(coming: Sequence[Encoded[Plan]]) -> list[Text]:
            new = [(encoded, *self._language(encoded.plan, encoded.states)) for encoded in coming]
            jobs.extend(new)
            return [self._text(encoded, language) for encoded, language, _ in new]

        for place, said in self._decoder(batch[0].plan).decode(texts(batch), lambda is_last: texts(more(is_last))):
            encoded, language, probability = jobs[place]
            raw = _Raw(
                said=said,
                tokens=said.tokens,
                language=language,
                language_probability=probability,
                states=encoded.states.shape[1],
            )
            yield place, encoded.plan, raw

    def _text(self, encoded: Encoded[Plan], language: str) -> Text:
        plan, texts = encoded.plan, self._tokenizer(language)
        before = (texts.sot_prev, *plan.previous) if plan.previous else ()
        return Text(
            states=encoded.states,
            prompt=(*before, *texts.sot_sequence, texts.no_timestamps, *plan.prefix),
            start=len(before),
            forced=len(plan.prefix),
            cap=plan.cap,
            beam=plan.beam,
        )

    def _again(self, plan: Plan, first: _Raw) -> _Raw:
        """The decode ran away: once more with the full window and nothing said before; the better of the two counts."""
        bare = replace(plan, window_s=FULL_WINDOW_S, previous=())
        [(_, _, second)] = self._generate([Encoded(bare, self._states(bare))])
        best = second if len(second.tokens) < len(first.tokens) else first
        return replace(best, retried=True, tokens=without_loop(best.tokens))

    def _read(self, plan: Plan, raw: _Raw) -> Decoded:
        texts = self._tokenizer(raw.language)
        text = texts.decode(raw.tokens).strip().lstrip(LEADING)
        words = () if not text else self._words(plan, raw, texts) if plan.job.want_words else _spread(plan, raw, texts)
        return Decoded(
            text=text,
            language=raw.language,
            language_probability=raw.language_probability,
            average_log_probability=raw.said.average_log_probability,
            no_speech_probability=raw.said.no_speech_probability,
            words=words,
            retried=raw.retried,
        )

    def _words(self, plan: Plan, raw: _Raw, texts: Tokenizer) -> tuple[DecodedWord, ...]:
        """The new words with their own times."""
        states = min(math.ceil(len(plan.job.samples) / SAMPLES_PER_STATE), raw.states)
        at, probabilities = raw.said.times(len(raw.tokens), states)
        words, word_tokens = texts.split_to_word_tokens([*plan.prefix, *raw.tokens, texts.eot])
        ends = np.cumsum([len(part) for part in word_tokens])[:-1]
        starts = np.concatenate([[0], ends[:-1]])
        return _whole_words(
            DecodedWord(
                text=word,
                start=int(at[min(first, len(at) - 1)]) * SAMPLES_PER_STATE,
                end=int(at[min(last, len(at) - 1)]) * SAMPLES_PER_STATE,
                probability=float(np.mean(probabilities[first:last])),
            )
            for word, first, last in zip(words[:-1], starts, ends, strict=True)
            if first >= len(plan.prefix)
        )


def _spread(plan: Plan, raw: _Raw, texts: Tokenizer) -> tuple[DecodedWord, ...]:
    """Words without their own times: spread evenly over the job's samples, all as sure as the whole."""
    words, _ = texts.split_to_word_tokens(raw.tokens)
    sure = math.exp(raw.said.average_log_probability)
    edges = np.linspace(0, len(plan.job.samples), len(words) + 1).astype(int)
    return _whole_words(
        DecodedWord(text=word, start=int(start), end=int(end), probability=sure)
        for word, start, end in zip(words, edges, edges[1:], strict=False)
    )


def _whole_words(pieces: Iterable[DecodedWord]) -> tuple[DecodedWord, ...]:
    """Punctuation belongs to the word before it."""
    words: list[DecodedWord] = []
    for piece in pieces:
        text = piece.text.strip()
        if words and not any(letter.isalnum() for letter in text):
            words[-1] = replace(words[-1], text=words[-1].text + text)
        elif text := text.lstrip(LEADING):
            words.append(replace(piece, text=text, space=piece.text.startswith(" ")))
    return tuple(words)


def without_loop(tokens: list[int]) -> list[int]:
    """`tokens` up to the first run that is said over and over, the run kept once.

    A run of five tokens or more counts when it is said twice, a shorter one from the third time on: people do say
    "no, no" and "seven seven".
    """
    for length in range(1, len(tokens) // 2 + 1):
        times = 2 if length >= LONG_RUN else 3
        for start in range(len(tokens) - times * length + 1):
            run = tokens[start : start + length]
            if all(tokens[start + k * length : start + (k + 1) * length] == run for k in range(1, times)):
                return tokens[: start + length]
    return tokens


def _view(array: Any) -> Any:
    return ctranslate2.StorageView.from_array(array)
