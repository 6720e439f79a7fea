"""Nothing secret is compared in a way whose time tells how much of it was right."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

SECRET = re.compile(r"secret|signature|digest|hmac|password|token\b|api_?key|sha256|credential", re.IGNORECASE)

EQUALITY = (ast.Eq, ast.NotEq, ast.In, ast.NotIn)

KNOWN = {
    "client/validator.py: encoded != secret": "a secret, and itself without its prefix",
    "compat/vocafuse/messages.py: endpoint.options.get(SIGNATURE) != TIMESTAMPED": "which way an endpoint is signed in",
    "deliver/bootstrap.py: endpoint.secrets[0] != secret": "the operator's setting, and what it was at the last start",
    "deliver/signing.py: encoded != secret": "a secret, and itself without its prefix",
    "recognise/weights.py: (found := sha256_of(folder / 'model.bin', progress)) != known.sha256": "a file's checksum",
    "recognise/weights.py: sha256_of(folder / 'model.bin', progress) == known.sha256": "a file's checksum",
    "speakers/weights.py: (found := _sha256_of(path)) != packed.sha256": "a file's checksum",
    "speakers/weights.py: (found := _sha256_of(source)) != packed.checkpoint_sha256": "a file's checksum",
    "speakers/weights.py: (found := hashlib.sha256(graph).hexdigest()) != packed.sha256": "a file's checksum",
    "speakers/weights.py: _sha256_of(made) != packed.sha256": "a file's checksum",
    "store/codec.py: f.name not in {'events', 'secrets', 'options'}": "names of columns",
    "store/keys.py: tables.keys.c.sha256 == sha256": "a hash looked up: what fits half of it opens nothing",
    "web/authorization.py: Proof.API_KEY in proofs": "a way to show a credential, looked up in the table",
    "web/media.py: TOKEN in request.query": "the name of a parameter",
    "web/media.py: name != TOKEN": "the name of a parameter",
}
"""Comparisons that look like it, and why they may stand."""


def comparisons(source: str) -> Iterator[str]:
    """`==`, `!=` and `in` where a side is named like a secret; what is compared with a constant is none."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Compare) or not any(isinstance(operator, EQUALITY) for operator in node.ops):
            continue
        sides = [node.left, *node.comparators]
        if not any(isinstance(side, ast.Constant) for side in sides) and SECRET.search(ast.unparse(node)):
            yield ast.unparse(node)


def test_secrets_are_compared_in_constant_time() -> None:
    """Every other comparison of something named like a secret stands in the list above, with its reason."""
    found = {
        f"{path.relative_to(ROOT / 'bridge')}: {comparison}"
        for path in (ROOT / "bridge").rglob("*.py")
        for comparison in comparisons(path.read_text("utf-8"))
    }
    assert found == set(KNOWN)


@pytest.mark.parametrize(
    ("source", "count"),
    [
        pytest.param("given == settings.plivo_auth_token", 1, id="equal"),
        pytest.param("signature in expected", 1, id="among"),
        pytest.param("hmac.new(k, m).digest() != given", 1, id="unequal"),
        pytest.param("token == ''", 0, id="a-constant"),
        pytest.param("hmac.compare_digest(expected, given)", 0, id="constant-time"),
        pytest.param("secret is None", 0, id="identity"),
    ],
)
def test_the_needle_is_sharp(source: str, count: int) -> None:
    """What is looked for is found, and what only looks like it is not."""
    assert len(list(comparisons(source))) == count
