"""The first webhook endpoint, from the settings: no API call needed to be told about calls."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final

from bridge.deliver.guard import Guard
from bridge.deliver.signing import new_secret
from bridge.errors import ConflictError, InvalidRequestError, NotFoundError, SetupError
from bridge.model.records import Endpoint
from bridge.ports import Clock, EndpointStore
from bridge.settings import Settings

ENDPOINT_ID: Final = "we_settings"
TENANT: Final = "default"
EVENTS: Final = ("call.completed", "call.failed")


async def endpoint_from_settings(settings: Settings, store: EndpointStore, clock: Clock) -> Endpoint | None:
    """Make the endpoint of `CALLBRIDGE_WEBHOOK_URL`, or bring it up to date; None when none is set.

    Without `CALLBRIDGE_WEBHOOK_SECRET` a secret is made at the first start and kept. A changed address enables the
    endpoint again. Starts that repeat, or come at once, end the same. Raises SetupError for a URL the guard refuses.
    """
    if settings.webhook_url is None:
        return None
    try:
        Guard(settings.allow_private_urls).check_url(settings.webhook_url)
    except InvalidRequestError as error:
        why = error.message.removeprefix("url: ")
        raise SetupError(f"CALLBRIDGE_WEBHOOK_URL: {why} (CALLBRIDGE_ALLOW_PRIVATE_URLS may allow it)") from None
    given = None if settings.webhook_secret is None else settings.webhook_secret.get_secret_value()
    with suppress(NotFoundError):
        return await _bring_up_to_date(store, settings.webhook_url, given)
    with suppress(ConflictError):  # another process has just made it
        await store.create_endpoint(
            Endpoint(
                id=ENDPOINT_ID,
                tenant=TENANT,
                url=settings.webhook_url,
                events=EVENTS,
                secrets=(given or new_secret(),),
                enabled=True,
                created_at=clock.now(),
                description="from the settings",
            )
        )
    return await _bring_up_to_date(store, settings.webhook_url, given)


async def _bring_up_to_date(store: EndpointStore, url: str, secret: str | None) -> Endpoint:
    endpoint = await store.endpoint(TENANT, ENDPOINT_ID)
    changes: dict[str, Any] = {}
    if endpoint.url != url:
        changes |= {"url": url, "enabled": True, "disabled_reason": None}
    if secret is not None and endpoint.secrets[0] != secret:
        changes |= {"secrets": (secret,), "secret_rotates_at": None}
    return await store.update_endpoint(TENANT, ENDPOINT_ID, changes) if changes else endpoint
