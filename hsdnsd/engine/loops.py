"""Whether what is sent to an upstream comes back to us: probes that are known again.

An upstream that leads back here, by itself or through others, makes of one query as many as the time-outs allow. Each
is therefore asked, now and then, for a name that only we can know. If somebody asks us for that name, the upstream
leads back here, and is asked nothing until a later probe does not return.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

from hsdnsd.engine.exchange import Send
from hsdnsd.engine.upstreams import Forwards, Server
from hsdnsd.wire.const import CLASS_IN, EDNS_UDP_SIZE, MAX_NAME, RRType
from hsdnsd.wire.message import build_query
from hsdnsd.wire.name import Name

# Seconds between two probes of an upstream; the shorter, if the last one was not answered.
PROBE_EVERY: Final = 600.0
UNANSWERED_AGAIN: Final = 60.0
# Seconds for which a probe may be under way.
PROBE_LIFE: Final = 4.0
# Seconds before an upstream that leads back here would be asked again: time for a probe to say that it still does.
PROBE_LEAD: Final = 5.0

_TOKEN_OCTETS: Final = 16
_TOKEN_LABEL: Final = 2 * _TOKEN_OCTETS
# Below this label of the zone that the upstream is asked for; for the root zone it is a top-level domain. That one can
# never be delegated: such names are letters alone (RFC 1123 section 2.1), or begin with `xn--`. It is no special-use
# name either (`invalid`, `test`, ...), for those are answered by the first resolver on the way, so that the probe would
# not get to where the loop is. And it has two labels, because some forwarders keep names of one for themselves.
_PARENT: Final = b"\x11hsdnsd-loop-probe"


class _Probe:
    __slots__ = ("answered", "ends", "server", "token")

    def __init__(self, server: Server, token: bytes, ends: float) -> None:
        self.server = server
        self.token = token
        self.ends = ends
        self.answered = False


class LoopProbes:
    """Probes every upstream of every forward zone but the cluster's DNS, from when `begin` is called.

    Each is a message of an exchange of its own with a negative number. Nothing follows from what an upstream says to
    it, or from its silence.
    """

    def __init__(
        self,
        forwards: Forwards,
        entropy: Callable[[int], bytes],
        force_tcp: bool,
        sends: list[Send],
        closes: list[int],
    ) -> None:
        """
        Args:
            entropy: gives so many octets of the system's random source.
            sends, closes: where messages to send, and exchanges to close, are put.
        """
        self._entropy = entropy
        self._sends = sends
        self._closes = closes
        self._due: dict[Server, float] = {}
        self._probes: dict[int, _Probe] = {}
        self._tokens: dict[bytes, Server] = {}
        self._last_number = 0
        self._begun = False
        self.wake = math.inf
        """When `expire` has something to do."""
        self.reconfigure(forwards, force_tcp, 0.0)

    def reconfigure(self, forwards: Forwards, force_tcp: bool, now: float) -> None:
        """Probe these from now on."""
        # The cluster's DNS may ask us for all other names, and is asked here only for its own.
        self._zones = [zone for zone in forwards.zones if zone is not forwards.cluster]
        self._force_tcp = force_tcp
        self.changed(now)

    def begin(self, now: float) -> None:
        """Probe every server."""
        self._begun = True
        self.changed(now)

    def changed(self, now: float) -> None:
        """Others are asked: probe each that is not known yet, and forget those that are gone."""
        if not self._begun:
            return
        self._due = {server: self._due.get(server, now) for zone in self._zones for server in zone.servers}
        self.expire(now)

    def expire(self, now: float) -> None:
        """Send the probes that are due, and end those that have been under way for long enough."""
        for number, probe in list(self._probes.items()):
            if probe.ends <= now:
                self._end(number)
                if not probe.answered and probe.server in self._due:
                    self._due[probe.server] = min(self._due[probe.server], now + UNANSWERED_AGAIN)
        for zone in self._zones:
            for server in zone.servers:
                if self._due.get(server, math.inf) <= now:
                    self._due[server] = now + PROBE_EVERY
                    self._send(server, zone.name, now)
        self._set_wake()

    def answered(self, number: int) -> None:
        """Something came back from the upstream: that is all a probe waits for. It is still known again."""
        probe = self._probes.get(number)
        if probe is not None and not probe.answered:
            probe.answered = True
            self._closes.append(number)

    def server_of(self, number: int) -> Server | None:
        """Whom a probe was sent to."""
        probe = self._probes.get(number)
        return None if probe is None else probe.server

    def recognise(self, name: Name) -> Server | None:
        """The upstream that a probe under way was sent to, if this is the folded name of one."""
        if name[0] != _TOKEN_LABEL or not name.startswith(_PARENT, 1 + _TOKEN_LABEL):
            return None
        return self._tokens.get(name[1 : 1 + _TOKEN_LABEL])

    def found(self, server: Server, now: float) -> None:
        """This upstream leads back here."""
        server.looped(now)
        for number in [number for number, probe in self._probes.items() if probe.server is server]:
            self._end(number)
        if server in self._due:
            self._due[server] = server.looping_until - PROBE_LEAD
            self._set_wake()

    def _send(self, server: Server, zone: Name, now: float) -> None:
        token = self._entropy(_TOKEN_OCTETS).hex().encode()
        name = bytes((_TOKEN_LABEL,)) + token + _PARENT + zone
        if len(name) > MAX_NAME:
            return
        self._last_number -= 1
        self._probes[self._last_number] = _Probe(server, token, now + PROBE_LIFE)
        self._tokens[token] = server
        edns = server.takes_edns(now)
        tls = server.upstream.tls_name is not None
        wire = build_query(
            int.from_bytes(self._entropy(2), "big"),
            name + RRType.HINFO.to_bytes(2, "big") + CLASS_IN.to_bytes(2, "big"),
            rd=True,
            cd=False,
            do=False,
            udp_size=EDNS_UDP_SIZE if edns else None,
            pad=tls,
        )
        self._sends.append(Send(self._last_number, 0, server.upstream, self._force_tcp or tls, wire))

    def _end(self, number: int) -> None:
        probe = self._probes.pop(number)
        del self._tokens[probe.token]
        if not probe.answered:
            self._closes.append(number)

    def _set_wake(self) -> None:
        ends = [probe.ends for probe in self._probes.values()]
        self.wake = min((*self._due.values(), *ends), default=math.inf)
