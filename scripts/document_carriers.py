"""Write the README's table of carriers from bridge/dialects.py: `make docs`. A test says when it is out of date."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from bridge.dialects import all_rows, in_markdown

README: Final = Path(__file__).parent.parent / "README.md"

BEGIN: Final = "<!-- Made from bridge/dialects.py by `make docs`. -->\n"
END: Final = "<!-- Until here. -->\n"


def readme(text: str) -> str:
    """The README with its table made anew."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    table = in_markdown(all_rows(), page="[{title}](docs/carriers/{name}.md)")
    return f"{before}{BEGIN}{table}{END}{after}"


if __name__ == "__main__":
    README.write_text(readme(README.read_text("utf-8")), "utf-8")
