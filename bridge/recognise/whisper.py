"""Whisper on CTranslate2, driven directly: windows sized to the speech, encoded one by one, decoded together.

The only file that knows the model. Everything here blocks and belongs in a worker thread.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import ctranslate2
import numpy as np
import tokenizers
from faster_whisper.feature_extractor import FeatureExtractor
from faster_whisper.tokenizer import Tokenizer

from bridge.errors import EngineError, SetupError
from bridge.model.frame import SAMPLE_RATE, Samples
from bridge.ports import Decoded, DecodedWord, DecodeJob, Urgency
from bridge.recognise.processor import choose_kernels
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

FRAMES_PER_S: Final = 100
"""Log-mel frames a second; the encoder gives one state for two of them."""

SAMPLES_PER_STATE: Final = 2 * SAMPLE_RATE // FRAMES_PER_S

TEXT_CONTEXT: Final = 448
"""Tokens of prompt and text together (Radford et al. 2022)."""

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
    """What a job will ask of the model; jobs with as many `previous` tokens can be decoded together."""

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


@dataclass(slots=True)
class _Raw:
    """One decode before it is read: new tokens and how sure the model was."""

    tokens: list[int]
    language: str
    language_probability: float
    average_log_probability: float
    no_speech_probability: float
    encoded: Any
    retried: bool = False


class Whisper:
    """One model for the whole process. `encode` and `decode` may be called from as many threads as `workers`."""

    def __init__(
        self, folder: Path, *, device: str = "auto", compute_type: str = "auto", workers: int = 1, threads: int = 1
    ) -> None:
        """Raises SetupError when the folder holds no model CTranslate2 can load."""
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

    @staticmethod
    def device_for(wanted: str) -> str:
        """`cpu` or `cuda`: what `auto` means on this machine."""
        if wanted != "auto":
            return wanted
        return "cuda" if ctranslate2.get_cuda_device_count() > 0 else "cpu"

    @property
    def languages(self) -> tuple[str, ...]:
        """Codes this model can be asked for."""
        from faster_whisper.tokenizer import _LANGUAGE_CODES  # noqa: PLC0415  # the library has no public list

        return tuple(_LANGUAGE_CODES) if self.multilingual else ("en",)

    def rehearse(self) -> float:
        """Seconds that a final of four seconds and a dozen words takes here, alone: on a CPU its own seconds, whatever
        else wants the cores just now. Nothing is said; the first time also warms the model up.
        """
        clock = time.perf_counter if self.device == "cuda" else time.process_time
        noise = np.random.default_rng(0).normal(0, 0.01, 4 * SAMPLE_RATE).astype(np.float32)
        plan = self.plan(DecodeJob(samples=noise, urgency=Urgency.FINAL, deadline=0, language="en"))
        began = clock()
        self._model.generate(
            self._states(plan),
            [self._prompt(plan, "en")],
            beam_size=1,
            max_length=2 * REHEARSED_TOKENS,
            suppress_tokens=[-1, self._start.eot],
        )
        return clock() - began

    def plan(self, job: DecodeJob) -> Plan:
        """How `job` will be decoded. Cheap; raises EngineError when its samples fit no window, or for a language that
        the model does not know.
        """
        if len(job.samples) > FULL_WINDOW_S * SAMPLE_RATE:
            raise EngineError(f"{len(job.samples) / SAMPLE_RATE:.1f} s of speech do not fit one window")
        texts = self._tokenizer(job.language or "en")
        prefix = tuple(texts.encode(" " + job.prefix_text.strip())) if job.prefix_text.strip() else ()
        previous = self._previous(texts, job)
        partial = job.urgency is Urgency.PARTIAL
        buckets = PARTIAL_BUCKETS_S if partial else BRISK_BUCKETS_S if job.brisk else BUCKETS_S
        new = len(job.samples) - job.known
        return Plan(
            job=job,
            window_s=FULL_WINDOW_S if job.careful else window_s(len(job.samples), buckets),
            previous=previous,
            prefix=prefix[-MAX_TOKENS // 2 :],
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

    def decode(self, batch: Sequence[Encoded[Plan]]) -> Iterator[Decoded]:
        """The second step of jobs with as many previous tokens: what they say in their order, each as soon as its words
        have their times. Raises EngineError, whatever it was that failed.
        """
        try:
            for encoded, raw in zip(batch, self._generate(batch), strict=True):
                yield self._read(encoded.plan, self._guarded(encoded.plan, raw))
        except Exception as error:
            raise EngineError(f"the model failed: {error}") from error

    def _guarded(self, plan: Plan, raw: _Raw) -> _Raw:
        """Without its loop; decoded again where it ran away without one."""
        if len(raw.tokens) < plan.hurried:
            return raw
        whole, raw.tokens = raw.tokens, without_loop(raw.tokens)
        ran_away = len(whole) >= plan.cap and len(raw.tokens) == len(whole)
        return self._again(plan, raw) if ran_away and plan.job.urgency is not Urgency.PARTIAL else raw

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

    def _language(self, plan: Plan, encoded: Any) -> tuple[str, float]:
        if plan.job.language is not None or not self.multilingual:
            return plan.job.language or "en", 1.0
        token, probability = self._model.detect_language(encoded)[0][0]
        return token[2:-2], probability

    def _generate(self, batch: Sequence[Encoded[Plan]]) -> list[_Raw]:
        plans, encoded = [one.plan for one in batch], [one.states for one in batch]
        languages = [self._language(plan, states) for plan, states in zip(plans, encoded, strict=True)]
        prompts = [self._prompt(plan, language) for plan, (language, _) in zip(plans, languages, strict=True)]
        longest = max(len(prompt) for prompt in prompts)
        together = encoded[0] if len(encoded) == 1 else _together(encoded)
        results = self._model.generate(
            together,
            prompts,
            beam_size=plans[0].beam,
            max_length=_max_length(longest, max(len(plan.prefix) for plan in plans), max(plan.cap for plan in plans)),
            return_scores=True,
            return_no_speech_prob=True,
        )
        raws = []
        for plan, (language, probability), states, result in zip(plans, languages, encoded, results, strict=True):
            tokens = list(result.sequences_ids[0])
            if tuple(tokens[: len(plan.prefix)]) == plan.prefix:
                tokens = tokens[len(plan.prefix) :]
            raws.append(
                _Raw(
                    tokens=tokens,
                    language=language,
                    language_probability=probability,
                    average_log_probability=result.scores[0],
                    no_speech_probability=result.no_speech_prob,
                    encoded=states,
                )
            )
        return raws

    def _prompt(self, plan: Plan, language: str) -> list[int]:
        texts = self._tokenizer(language)
        before = [texts.sot_prev, *plan.previous] if plan.previous else []
        return [*before, *texts.sot_sequence, texts.no_timestamps, *plan.prefix]

    def _again(self, plan: Plan, first: _Raw) -> _Raw:
        """The decode ran away: once more with the full window and nothing said before; the better of the two counts."""
        bare = replace(plan, window_s=FULL_WINDOW_S, previous=())
        [second] = self._generate([Encoded(bare, self._states(bare))])
        best = second if len(second.tokens) < len(first.tokens) else first
        best.retried = True
        best.tokens = without_loop(best.tokens)
        return best

    def _read(self, plan: Plan, raw: _Raw) -> Decoded:
        texts = self._tokenizer(raw.language)
        text = texts.decode([token for token in raw.tokens if token < texts.eot]).strip().lstrip(LEADING)
        words = () if not text else self._words(plan, raw, texts) if plan.job.want_words else _spread(plan, raw, texts)
        return Decoded(
            text=text,
            language=raw.language,
            language_probability=raw.language_probability,
            average_log_probability=raw.average_log_probability,
            no_speech_probability=raw.no_speech_probability,
            words=words,
            retried=raw.retried,
        )

    def _words(self, plan: Plan, raw: _Raw, texts: Tokenizer) -> tuple[DecodedWord, ...]:
        """Word times from the cross-attention (faster-whisper's way, `find_alignment`), for the new words alone."""
        tokens = [token for token in (*plan.prefix, *raw.tokens) if token < texts.eot]
        [found] = self._model.align(
            raw.encoded,
            texts.sot_sequence,
            [tokens],
            min(math.ceil(len(plan.job.samples) * FRAMES_PER_S / SAMPLE_RATE), raw.encoded.shape[1] * 2),
        )
        words, word_tokens = texts.split_to_word_tokens([*tokens, texts.eot])
        ends = np.cumsum([len(part) for part in word_tokens])[:-1]
        starts = np.concatenate([[0], ends[:-1]])
        path = np.array(found.alignments)
        jumps = np.diff(path[:, 0], prepend=-1).astype(bool)
        at = path[jumps, 1]
        known = len([token for token in plan.prefix if token < texts.eot])
        return _whole_words(
            DecodedWord(
                text=word,
                start=int(at[min(first, len(at) - 1)]) * SAMPLES_PER_STATE,
                end=int(at[min(last, len(at) - 1)]) * SAMPLES_PER_STATE,
                probability=float(np.mean(found.text_token_probs[first:last])),
            )
            for word, first, last in zip(words[:-1], starts, ends, strict=True)
            if first >= known
        )


def _spread(plan: Plan, raw: _Raw, texts: Tokenizer) -> tuple[DecodedWord, ...]:
    """Words without their own times: spread evenly over the job's samples, all as sure as the whole."""
    words, _ = texts.split_to_word_tokens([token for token in raw.tokens if token < texts.eot])
    sure = math.exp(raw.average_log_probability)
    edges = np.linspace(0, len(plan.job.samples), len(words) + 1).astype(int)
    return _whole_words(
        DecodedWord(text=word, start=int(start), end=int(end), probability=sure)
        for word, start, end in zip(words, edges, edges[1:], strict=False)
    )


def _max_length(prompt: int, prefix: int, tokens: int) -> int:
    """What CTranslate2 must be told to give `tokens` behind a prompt that ends with a forced prefix: it counts the
    prefix and what follows against half of `max_length`, and the prompt against the whole of it.
    """
    return min(max(2 * (prefix + tokens), prompt + tokens), TEXT_CONTEXT)


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


def _together(encoded: Sequence[Any]) -> Any:
    """Encoder states of several windows as one batch. Shorter windows last on in their last state, which is quiet."""
    states = [np.array(one) for one in encoded]
    longest = max(one.shape[1] for one in states)
    return _view(np.concatenate([np.pad(one, ((0, 0), (0, longest - one.shape[1]), (0, 0)), "edge") for one in states]))


def _view(array: Any) -> Any:
    return ctranslate2.StorageView.from_array(array)
