"""A Flask app whose users record in their browser: a token for each, and what they said by webhook.

pip install flask httpx
export CALLBRIDGE_URL=http://127.0.0.1:8080 CALLBRIDGE_API_KEY=… CALLBRIDGE_WEBHOOK_SECRET=…
PYTHONPATH=. python examples/flask_app.py

That is from the checkout; elsewhere `pip install 'callbridge[client]'` brings `bridge.client`.
"""

from __future__ import annotations

import os
from typing import Any

from flask import Flask, Response, abort, jsonify, request

from bridge.client import AccessToken, RequestValidator

KEY = os.environ["CALLBRIDGE_API_KEY"]
SECRET = os.environ.get("CALLBRIDGE_API_SECRET", KEY)

app = Flask(__name__)
validator = RequestValidator(os.environ["CALLBRIDGE_WEBHOOK_SECRET"])
said: dict[str, dict[str, Any]] = {}
"""By recording; a real app keeps them in its database."""


def current_user() -> str:
    """Whoever is logged in: your own login says so."""
    return "user_7"


@app.post("/api/token")
def token() -> Response:
    return jsonify(AccessToken(KEY, SECRET, identity=current_user())(expires_in=3600))


@app.post("/webhooks")
def webhook() -> Response:
    payload = request.get_data(as_text=True)
    if not validator.validate(payload, request.headers.get("X-VocaFuse-Signature")):
        abort(401)
    message = request.get_json()
    said[message["recording"]["id"]] = message["recording"]
    return jsonify(received=True)


@app.get("/transcripts")
def transcripts() -> Response:
    return jsonify(said)


if __name__ == "__main__":
    app.run(port=int(os.environ.get("PORT", "5000")))
