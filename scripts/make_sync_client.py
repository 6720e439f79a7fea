"""`bridge/client/_sync` from `bridge/client/_async`: the same client without waiting for anything but its answers."""

from __future__ import annotations

import re
from pathlib import Path

CLIENT = Path(__file__).parents[1] / "bridge" / "client"
WRITTEN, MADE = CLIENT / "_async", CLIENT / "_sync"

WORDS = {
    "AsyncIterator": "Iterator",
    "AsyncBaseTransport": "BaseTransport",
    "asynccontextmanager": "contextmanager",
    "aiter_lines": "iter_lines",
    "aread": "read",
    "aclose": "close",
    "__aenter__": "__enter__",
    "__aexit__": "__exit__",
    "_async": "_sync",
}
"""What is spelt otherwise, beside names that begin with `Async`."""


def sync(text: str) -> str:
    """One file's blocking twin."""
    text = re.sub(r"\b(?:async|await) ", "", text)
    text = text.replace("asyncio.sleep", "time.sleep")
    text = re.sub(r"^import asyncio\n", "" if "\nimport time\n" in text else "import time\n", text, flags=re.MULTILINE)
    text = re.sub(r"\w+", lambda word: WORDS.get(word[0], word[0]), text)
    text = re.sub(r"\bAsync(?=[A-Z])", "", text)
    return text.replace("  # noqa: ASYNC240  # one file, read at once", "")


def twins() -> dict[Path, str]:
    """Every file of `_sync`, as it should be."""
    found = {MADE / path.name: sync(path.read_text("utf-8")) for path in WRITTEN.glob("*.py")}
    found[MADE / "__init__.py"] = '"""Made from `bridge.client._async` by `python -m scripts.make_sync_client`."""\n'
    return found


if __name__ == "__main__":
    MADE.mkdir(exist_ok=True)
    for path, text in twins().items():
        path.write_text(text, "utf-8")
