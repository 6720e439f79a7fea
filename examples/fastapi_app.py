"""A FastAPI app whose users record in their browser: a token for each, and what they said by webhook.

pip install fastapi uvicorn httpx
export CALLBRIDGE_URL=http://127.0.0.1:8080 CALLBRIDGE_API_KEY=… CALLBRIDGE_WEBHOOK_SECRET=…
PYTHONPATH=. python examples/fastapi_app.py

That is from the checkout; elsewhere `pip install 'callbridge[client]'` brings `bridge.client`.
"""

from __future__ import annotations

import json
import os
from typing import Any

import uvicorn
from fastapi import FastAPI, HTTPException, Request

from bridge.client import AsyncAccessToken, RequestValidator

KEY = os.environ["CALLBRIDGE_API_KEY"]
SECRET = os.environ.get("CALLBRIDGE_API_SECRET", KEY)

app = FastAPI()
validator = RequestValidator(os.environ["CALLBRIDGE_WEBHOOK_SECRET"])
said: dict[str, dict[str, Any]] = {}
"""By recording; a real app keeps them in its database."""


def current_user() -> str:
    """Whoever is logged in: your own login says so."""
    return "user_7"


@app.post("/api/token")
async def token() -> dict[str, Any]:
    return await AsyncAccessToken(KEY, SECRET, identity=current_user())(expires_in=3600)


@app.post("/webhooks")
async def webhook(request: Request) -> dict[str, bool]:
    payload = await request.body()
    if not validator.validate(payload, request.headers.get("X-VocaFuse-Signature")):
        raise HTTPException(401, "not ours")
    message = json.loads(payload)
    said[message["recording"]["id"]] = message["recording"]
    return {"received": True}


@app.get("/transcripts")
async def transcripts() -> dict[str, Any]:
    return said


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(os.environ.get("PORT", "5000")), log_level="warning")
