"""A Django app whose users record in their browser: a token for each, and what they said by webhook.

pip install django httpx
export CALLBRIDGE_URL=http://127.0.0.1:8080 CALLBRIDGE_API_KEY=… CALLBRIDGE_WEBHOOK_SECRET=…
PYTHONPATH=. python examples/django_app.py

That is from the checkout; elsewhere `pip install 'callbridge[client]'` brings `bridge.client`.
"""

from __future__ import annotations

import json
import os
from typing import Any
from wsgiref.simple_server import make_server

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from bridge.client import AccessToken, RequestValidator

KEY = os.environ["CALLBRIDGE_API_KEY"]
SECRET = os.environ.get("CALLBRIDGE_API_SECRET", KEY)

settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["127.0.0.1", "localhost"])
validator = RequestValidator(os.environ["CALLBRIDGE_WEBHOOK_SECRET"])
said: dict[str, dict[str, Any]] = {}
"""By recording; a real app keeps them in its database."""


def current_user(request: HttpRequest) -> str:
    """Whoever is logged in: your own login says so (`request.user`)."""
    del request
    return "user_7"


@require_POST
def token(request: HttpRequest) -> JsonResponse:
    return JsonResponse(AccessToken(KEY, SECRET, identity=current_user(request))(expires_in=3600))


@csrf_exempt
@require_POST
def webhook(request: HttpRequest) -> HttpResponse:
    if not validator.validate(request.body, request.headers.get("X-VocaFuse-Signature")):
        return HttpResponse(status=401)
    message = json.loads(request.body)
    said[message["recording"]["id"]] = message["recording"]
    return JsonResponse({"received": True})


def transcripts(request: HttpRequest) -> JsonResponse:
    del request
    return JsonResponse(said)


urlpatterns = [path("api/token", token), path("webhooks", webhook), path("transcripts", transcripts)]

application = get_wsgi_application()

if __name__ == "__main__":
    make_server("127.0.0.1", int(os.environ.get("PORT", "5000")), application).serve_forever()
