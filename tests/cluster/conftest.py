"""PostgreSQL and Redis where they run; otherwise what needs them says why it was left out."""

from __future__ import annotations

from tests.contract.conftest import postgres_url

__all__ = ["postgres_url"]
