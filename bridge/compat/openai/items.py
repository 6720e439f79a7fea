"""Which words belong to which item of a Realtime session: plain bookkeeping, events of the call in, messages out."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from bridge.model.events import (
    CallEnded,
    Event,
    MediaGap,
    SpeechEnded,
    SpeechFlushed,
    SpeechStarted,
    TranscriptFinal,
)

Message: TypeAlias = Mapping[str, Any]
"""A `type` and what belongs to it; the `event_id` is the sender's to add."""

TRANSCRIPTION = "conversation.item.input_audio_transcription"


@dataclass(slots=True, kw_only=True)
class Item:
    """A turn of the client's audio."""

    id: str
    begin_ms: int = 0
    end_ms: int | None = None
    """None while it goes on."""
    texts: list[str] = field(default_factory=list)
    dropped: bool = False
    """The client has cleared it: nothing more is told of it."""
    undecoded: bool = False

    @property
    def transcript(self) -> str:
        return " ".join(self.texts)


class Items:
    """Either speech and silence make items (`by_speech`), or the client's `commit` does."""

    def __init__(self, new_id: Callable[[], str], *, by_speech: bool, older: bool) -> None:
        """`older`: the client speaks the older protocol, where one event announces an item."""
        self._new_id = new_id
        self._by_speech = by_speech
        self._older = older
        self._previous: str | None = None
        self._open = Item(id=new_id())
        """Not committed yet."""
        self._speaking = False
        self._committed: deque[Item] = deque()
        """Whose words are not all told."""
        self._flushes: deque[Item | None] = deque()
        """What each flush that is asked for completes."""

    def commit(self) -> Sequence[Message]:
        """The client ends its turn; a flush follows."""
        if self._by_speech:
            self._flushes.append(None)  # the speech that is cut ends as any other
            return []
        item = self._open
        self._flushes.append(item)
        return list(self._commit())

    def clear(self) -> Sequence[Message]:
        """The client takes back what it has not committed; a flush follows."""
        item, self._open = self._open, Item(id=self._new_id())
        item.dropped, self._speaking = True, False
        self._committed.append(item)
        self._flushes.append(item)
        return [{"type": "input_audio_buffer.cleared"}]

    def tell(self, event: Event) -> Sequence[Message]:  # noqa: PLR0911  # a table, as a match
        match event.body:
            case SpeechStarted(at_ms=at_ms) if self._by_speech and not self._clearing:
                return self._started(at_ms)
            case SpeechEnded(at_ms=at_ms) if self._by_speech:
                return self._ended(at_ms)
            case TranscriptFinal(start_ms=start_ms, end_ms=end_ms, text=text):
                return [*self._until(start_ms), *self._words(text, end_ms)]
            case MediaGap(reason="undecoded", at_ms=at_ms, missing_ms=missing_ms):
                return [*self._until(at_ms), *self._undecoded(at_ms + missing_ms)]
            case SpeechFlushed(at_ms=at_ms):
                return self._flushed(at_ms)
            case CallEnded():
                return [message for item in self._take(lambda _: True) for message in self._complete(item)]
        return []

    @property
    def _clearing(self) -> bool:
        """What is heard now was taken back."""
        return any(item.dropped for item in self._committed)

    # -- speech ----------------------------------------------------------------------------------------------------

    def _started(self, at_ms: int) -> Sequence[Message]:
        self._speaking = True
        self._open.begin_ms = at_ms
        return [{"type": "input_audio_buffer.speech_started", "audio_start_ms": at_ms, "item_id": self._open.id}]

    def _ended(self, at_ms: int) -> Sequence[Message]:
        if not self._speaking:
            return []
        self._speaking = False
        self._open.end_ms = at_ms
        stopped = {"type": "input_audio_buffer.speech_stopped", "audio_end_ms": at_ms, "item_id": self._open.id}
        return [stopped, *self._commit()]

    def _commit(self) -> Iterator[Message]:
        item, previous = self._open, self._previous
        self._committed.append(item)
        self._previous, self._open = item.id, Item(id=self._new_id(), begin_ms=item.end_ms or 0)
        yield {"type": "input_audio_buffer.committed", "item_id": item.id, "previous_item_id": previous}
        shown = {
            "id": item.id,
            "object": "realtime.item",
            "type": "message",
            "status": "completed",
            "role": "user",
            "content": [{"type": "input_audio", "transcript": None}],
        }
        names = ("created",) if self._older else ("added", "done")
        for name in names:
            yield {"type": f"conversation.item.{name}", "previous_item_id": previous, "item": shown}

    # -- words -----------------------------------------------------------------------------------------------------

    def _words(self, text: str, end_ms: int) -> Sequence[Message]:
        item = self._committed[0] if self._committed else self._open
        if item.dropped:
            return []
        delta = f" {text}" if item.texts else text
        item.texts.append(text)
        told = {"type": f"{TRANSCRIPTION}.delta", "item_id": item.id, "content_index": 0, "delta": delta}
        return [told, *self._ended_by(item, end_ms)]

    def _undecoded(self, end_ms: int) -> Sequence[Message]:
        item = self._committed[0] if self._committed else self._open
        item.undecoded = True
        return self._ended_by(item, end_ms)

    def _ended_by(self, item: Item, end_ms: int) -> Sequence[Message]:
        """All of it, if its last words have been told."""
        if not self._by_speech or item.end_ms is None or end_ms < item.end_ms:
            return []
        return [message for one in self._take(lambda other: other is item) for message in self._complete(one)]

    def _until(self, start_ms: int) -> Sequence[Message]:
        """Speech that came to no words has been passed over when later words come."""
        if not self._by_speech:
            return []
        over = self._take(lambda item: item.end_ms is not None and item.end_ms <= start_ms)
        return [message for item in over for message in self._complete(item)]

    def _flushed(self, at_ms: int) -> Sequence[Message]:
        item = self._flushes.popleft() if self._flushes else None
        if item is None:
            over = self._take(lambda one: one.end_ms is not None and one.end_ms <= at_ms)
        else:
            item.end_ms = at_ms
            over = self._take(lambda one: one is item)
            following = self._committed[0] if self._committed else self._open
            following.begin_ms = max(following.begin_ms, at_ms)
        return [message for one in over for message in self._complete(one)]

    def _take(self, over: Callable[[Item], bool]) -> list[Item]:
        """The committed items that are over, in order."""
        taken = []
        while self._committed and over(self._committed[0]):
            taken.append(self._committed.popleft())
        return taken

    def _complete(self, item: Item) -> Sequence[Message]:
        if item.dropped:
            return []
        about = {"item_id": item.id, "content_index": 0}
        if item.undecoded:
            error = {"type": "server_error", "code": "undecoded", "message": "the audio could not be put into words"}
            return [{"type": f"{TRANSCRIPTION}.failed", **about, "error": error}]
        seconds = max(0, (item.end_ms or item.begin_ms) - item.begin_ms) / 1000
        usage = {"type": "duration", "seconds": seconds}
        return [{"type": f"{TRANSCRIPTION}.completed", **about, "transcript": item.transcript, "usage": usage}]
