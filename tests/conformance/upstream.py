"""The upstream server of a data set: canned responses over UDP and TCP on loopback, and a count of the questions."""

from __future__ import annotations

import contextlib
import socketserver
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

from bench.process import free_port

Question = tuple[dns.name.Name, str]


class Script:
    """What is answered to which question; the last entry of several for one question repeats."""

    def __init__(self, entries: list[dict[str, Any]]) -> None:
        self._entries: dict[Question, list[dict[str, Any]]] = {}
        for entry in entries:
            self._entries.setdefault((dns.name.from_text(entry["qname"]), entry["qtype"]), []).append(entry)
        self.asked: Counter[Question] = Counter()
        self._lock = threading.Lock()

    def count(self, text: str) -> int:
        """How often `NAME TYPE` was asked."""
        name, rtype = text.split()
        with self._lock:
            return self.asked[dns.name.from_text(name), rtype]

    def respond(self, wire: bytes, udp: bool) -> bytes | None:
        """The response to a query, None if the script says to be silent."""
        query = dns.message.from_wire(wire)
        question = (query.question[0].name, dns.rdatatype.to_text(query.question[0].rdtype))
        with self._lock:
            turn = self.asked[question]
            self.asked[question] += 1
        entries = self._entries.get(question, [{"rcode": "REFUSED"}])
        entry = entries[min(turn, len(entries) - 1)]
        if entry.get("drop"):
            return None
        response = dns.message.make_response(query, recursion_available=True)
        flags = {
            dns.flags.AA: entry.get("aa"),
            dns.flags.TC: entry.get("tc") and udp,
            dns.flags.AD: entry.get("ad_bit"),
        }
        response.flags |= sum(flag for flag, wanted in flags.items() if wanted)
        response.set_rcode(dns.rcode.from_text(entry.get("rcode", "NOERROR")))
        for section in ("answer", "authority", "additional"):
            for record in entry.get(section) or []:
                name = dns.name.from_text(record["name"])
                rrset = dns.rrset.from_text(name, record.get("ttl", 300), "IN", record["type"], str(record["rdata"]))
                getattr(response, section).append(rrset)
        return response.to_wire(max_size=65535)


@contextlib.contextmanager
def serve(script: Script) -> Iterator[str]:
    """Answer by the script on a free port of 127.0.0.1, given as ADDR:PORT, until the block ends."""

    class Udp(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            wire, sock = self.request
            response = script.respond(wire, udp=True)
            if response is not None:
                sock.sendto(response, self.client_address)

    class Tcp(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while prefix := self.rfile.read(2):
                response = script.respond(self.rfile.read(int.from_bytes(prefix, "big")), udp=False)
                if response is not None:
                    self.wfile.write(len(response).to_bytes(2, "big") + response)

    port = free_port()
    with _threaded(socketserver.ThreadingUDPServer, port, Udp), _threaded(socketserver.ThreadingTCPServer, port, Tcp):
        yield f"127.0.0.1:{port}"


@contextlib.contextmanager
def _threaded(kind: Any, port: int, handler: Any) -> Iterator[Any]:
    kind = type("Server", (kind,), {"allow_reuse_address": True, "daemon_threads": True, "block_on_close": False})
    with kind(("127.0.0.1", port), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
