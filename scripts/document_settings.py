"""Write docs/settings.md from bridge/settings.py: `make docs`. A test says when it is out of date."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from bridge.settings import PREFIX, Settings

PAGE: Final = Path(__file__).parent.parent / "docs" / "settings.md"

HEAD: Final = """\
# Settings

From the environment, or from a TOML file named with `--config` (or `CALLBRIDGE_CONFIG`): there the names are lower case
and without `CALLBRIDGE_`. The environment is stronger, arguments of the command line are stronger still. An empty value
is no value. All faults are told at once when the server starts, and secrets are never logged.

```toml
# callbridge.toml
public_url = "https://calls.example.org"
database_url = "sqlite:///var/callbridge.db"
language = "en"
```

<!-- The table is made from bridge/settings.py by `make docs`. -->

| name | default | what it is |
|---|---|---|
"""


def page() -> str:
    """The whole file."""
    return HEAD + "".join(_row(name, field) for name, field in Settings.model_fields.items())


def default_of(field: FieldInfo) -> str:
    """A setting's default as a person would type it."""
    value: Any = field.default
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "`on`" if value else "`off`"
    return f"`{value}`"


def _row(name: str, field: FieldInfo) -> str:
    about = field.description
    if get_origin(field.annotation) is Literal:
        about = f"{about}; one of {', '.join(f'`{choice}`' for choice in get_args(field.annotation))}"
    return f"| `{PREFIX}{name.upper()}` | {default_of(field)} | {about} |\n"


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
