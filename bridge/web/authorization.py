"""What carriers can write into `Authorization`, or beside it, as the Bearer credential that it stands for."""

from __future__ import annotations

import base64
from collections.abc import Collection, Mapping

from bridge.dialects import Proof


def key_beside(headers: Mapping[str, str], proofs: Collection[Proof]) -> str:
    """What is in `X-API-KEY`, where one of `proofs` says that a credential may be."""
    return headers.get(Proof.API_KEY, "") if Proof.API_KEY in proofs else ""


def as_bearer(header: str, proofs: Collection[Proof]) -> str:
    """`header` as `Bearer …`, where one of `proofs` says how it may be written otherwise; as it is, where none does."""
    scheme, _, rest = header.partition(" ")
    if Proof.BASIC in proofs and scheme.lower() == "basic":
        return f"Bearer {_password(rest)}"
    if Proof.BARE in proofs and header and not rest:
        return f"Bearer {header}"
    return header


def _password(credentials: str) -> str:
    """RFC 7617: base64 of `user:password`. Empty for what is none."""
    try:
        return base64.b64decode(credentials.strip(), validate=True).decode().partition(":")[2]
    except ValueError:
        return ""
