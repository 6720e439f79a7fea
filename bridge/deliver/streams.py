"""Live events in Redis: which stream has them, how one is written down, and how it is added exactly once.

CALL    a stream for each call; an entry's id is the event's `seq`, so that adding one again changes nothing
TENANT  a stream for each tenant; each entry has its place in the row, so that a reader sees what it missed
PLACES  the counter of a tenant's places

All is short: whoever is further behind reads the store, which had every event before Redis had it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from bridge.model.call_key import CallKey
from bridge.model.events import Event, body_from_dict, body_to_dict

CALL_KEPT: Final = 64
"""Events of a call in its stream: some 40 kB."""
TENANT_KEPT: Final = 2_048
LIVE_KEPT_S: Final = 3600
"""A call that says nothing for longer is told by the store alone."""
OVER_KEPT_S: Final = 60
"""After a call's last event, and after a tenant's."""
PLACES_KEPT_S: Final = 24 * 3600

LAST_ID: Final = "18446744073709551615-0"
"""Of the entry that says that a call is settled: no id is larger (redis.io, Streams, entry ids)."""

ADD: Final = f"""
if ARGV[1] == '1' then
  local kept = redis.call('XRANGE', KEYS[1], '1-0', '1-0')
  if kept[1] and kept[1][2][2] == ARGV[2] then return 0 end
  redis.call('DEL', KEYS[1])
end
local added = redis.pcall('XADD', KEYS[1], 'MAXLEN', {CALL_KEPT}, ARGV[1] .. '-0', 'event', ARGV[2], 'node', ARGV[3])
if type(added) == 'table' and added.err then
  if string.find(added.err, 'equal or smaller') then return 0 end
  return added
end
redis.call('EXPIRE', KEYS[1], {LIVE_KEPT_S})
local place = redis.call('INCR', KEYS[3])
redis.call('EXPIRE', KEYS[3], {PLACES_KEPT_S})
redis.call('XADD', KEYS[2], 'MAXLEN', '~', {TENANT_KEPT}, '*', 'event', ARGV[2], 'node', ARGV[3], 'place', place)
redis.call('EXPIRE', KEYS[2], {OVER_KEPT_S})
return 1
"""
"""KEYS: the call's stream, the tenant's, its counter. ARGV: seq, event, node. A call that begins takes an old one's
place: an id may be chosen again once its call has been deleted.
"""

END: Final = f"""
local added = redis.pcall('XADD', KEYS[1], '{LAST_ID}', 'end', '1')
if type(added) == 'table' and added.err and not string.find(added.err, 'equal or smaller') then return added end
redis.call('EXPIRE', KEYS[1], {OVER_KEPT_S})
return 1
"""


@dataclass(frozen=True, slots=True)
class Keys:
    """Names in Redis, all behind one prefix."""

    prefix: str

    def call(self, key: CallKey) -> str:
        return f"{self.prefix}:call:{_plain(key.tenant)}:{_plain(key.call_id)}"

    def tenant(self, tenant: str) -> str:
        return f"{self.prefix}:tenant:{_plain(tenant)}"

    def places(self, tenant: str) -> str:
        return f"{self.prefix}:places:{_plain(tenant)}"

    def bell(self, node: str) -> str:
        """A stream that wakes the one reader of a node."""
        return f"{self.prefix}:bell:{_plain(node)}"


def _plain(name: str) -> str:
    return quote(name, safe="")


def write_down(event: Event) -> str:
    fields = {
        "id": event.id,
        "seq": event.seq,
        "call_id": event.call_id,
        "tenant": event.tenant,
        "time": event.time,
        "type": event.type,
        "body": body_to_dict(event.body),
    }
    return json.dumps(fields, separators=(",", ":"))


def read_again(text: str) -> Event:
    """What `write_down` wrote. Raises ValueError or LookupError for what a newer version alone understands."""
    fields: Mapping[str, Any] = json.loads(text)
    return Event(
        id=fields["id"],
        seq=fields["seq"],
        call_id=fields["call_id"],
        tenant=fields["tenant"],
        time=fields["time"],
        body=body_from_dict(fields["type"], fields["body"]),
    )
