"""One SIP request, and the way back to whoever asked (a server transaction, RFC 3261 §17.2)."""

from __future__ import annotations

from dataclasses import dataclass

import structlog
from aiosipua.message import SipRequest, SipResponse
from aiosipua.transport import SipTransport

from bridge.errors import CarrierError
from bridge.ingest.rtp import Address

log = structlog.get_logger(__name__)

TransactionKey = tuple[str, str, str]
"""What a request and its repetitions share: the branch, the method, the sequence number (RFC 3261 §17.2.3)."""


class RefusedError(CarrierError):
    """A request that is answered with something else than 200."""

    def __init__(self, status: int, phrase: str, **headers: str) -> None:
        super().__init__(f"{status} {phrase}")
        self.sip_status, self.phrase, self.headers = status, phrase, headers


@dataclass(frozen=True, slots=True)
class ServerTransaction:
    """A request, and the way back."""

    request: SipRequest
    transport: SipTransport
    source: Address

    @property
    def call_id(self) -> str:
        return self.request.call_id or ""

    @property
    def key(self) -> TransactionKey:
        via = self.request.via
        return (via[0].branch or "" if via else "", self.request.method, self.request.get_header("cseq") or "")

    def send(self, message: SipRequest | SipResponse) -> None:
        """A client behind TCP is reached on its own connection, else its Via says where (RFC 3261 §18.2.2)."""
        try:
            if isinstance(message, SipResponse) and not self.transport.reliable:
                self.transport.send_reply(message)
            else:
                self.transport.send(message, self.source)
        except (RuntimeError, OSError, ValueError) as error:
            log.warning("SIP message not sent", to=self.source[0], error=str(error))
