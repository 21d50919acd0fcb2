"""The daemon under test, as a person starts it, and what it answers."""

from __future__ import annotations

import http.client
import re
import sysconfig
from pathlib import Path
from typing import Final

import dns.message
import dns.query
import dns.rcode
import dns.rdatatype

from tests.cluster.program import Program, loopback_address

_DNS_PORT: Final = 5353
_ADMIN_PORT: Final = 9253


class Daemon:
    """`hsdnsd serve` with an API server as its source and no upstream, on a loopback address of its own.

    Args:
        kubeconfig: None: the daemon is in a cluster, as `prefix` makes it believe.
        prefix: a command that ends in executing the rest of its command line.
    """

    def __init__(self, folder: Path, kubeconfig: Path | None, *prefix: str | Path) -> None:
        self.host = host = loopback_address()
        config = folder / "hsdnsd.toml"
        config.write_text('[forward]\nresolv_conf = ""\n')
        command: list[str | Path] = [
            *prefix,
            Path(sysconfig.get_path("scripts")) / "hsdnsd",
            "serve",
            *("--config", config),
            *(["--in-cluster"] if kubeconfig is None else ["--kubeconfig", kubeconfig]),
            *("--listen", f"{host}:{_DNS_PORT}"),
            *("--admin", f"{host}:{_ADMIN_PORT}"),
        ]
        self.program = Program("hsdnsd", command, folder / "hsdnsd.log")

    def ask(self, name: str, rdtype: str, *, tcp: bool = False) -> dns.message.Message:
        """Its reply.

        Raises:
            OSError, dns.exception.Timeout: none came.
        """
        query = dns.message.make_query(name, rdtype, use_edns=0, payload=1232)
        exchange = dns.query.tcp if tcp else dns.query.udp
        return exchange(query, self.host, timeout=5, port=_DNS_PORT)

    def answers(self, name: str, rdtype: str, *, tcp: bool = False) -> frozenset[str]:
        """The rdata of that type in the answer, or just the rcode ("NXDOMAIN") where it is not NOERROR."""
        reply = self.ask(name, rdtype, tcp=tcp)
        if reply.rcode() != dns.rcode.NOERROR:
            return frozenset([dns.rcode.to_text(reply.rcode())])
        wanted = dns.rdatatype.from_text(rdtype)
        return frozenset(rdata.to_text() for rrset in reply.answer if rrset.rdtype == wanted for rdata in rrset)

    def get(self, path: str) -> tuple[int, str]:
        """(status, body) of the admin endpoint."""
        connection = http.client.HTTPConnection(self.host, _ADMIN_PORT, timeout=5)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def ready(self) -> bool:
        return self.get("/readyz")[0] == 200

    def metric(self, name: str, **labels: str) -> float | None:
        """The value of the one sample with these labels among others; None if there is none."""
        pattern = re.compile(rf"^{name}(?:\{{(?P<labels>.*)\}})? (?P<value>\S+)$", re.MULTILINE)
        for sample in pattern.finditer(self.get("/metrics")[1]):
            if dict(re.findall(r'(\w+)="([^"]*)"', sample["labels"] or "")).items() >= labels.items():
                return float(sample["value"])
        return None
