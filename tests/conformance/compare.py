"""Asks one question of a data set, and says in which ways the answer is wrong."""

from __future__ import annotations

import socket
import struct
from typing import Any

import dns.edns
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype

from tests.conformance.dataset import Case

TIMEOUT = 5.0
_SECTIONS = ("answer", "authority", "additional")


def ask(case: Case, server: tuple[str, int], tcp: bool, exact: bool, server_ip: str) -> list[str]:
    """Send the question and compare; the complaints, none if the answer is right.

    Args:
        exact: only the answer that CoreDNS gives is right, none of the case's alternatives.
        server_ip: what $SERVER_IP stands for.
    """
    query = _query(case)
    wire = query.to_wire()
    try:
        response = _over_tcp(wire, server) if tcp else _over_udp(wire, server)
    except OSError as error:
        return [f"no reply: {error or type(error).__name__}"]
    complaints = _complaints(case, query, response, tcp, server_ip)
    if complaints and not exact:
        shared = {key: value for key, value in case.items() if key not in _SECTIONS}
        for alternative in case.get("also_ok") or []:
            if not _complaints(shared | alternative, query, response, tcp, server_ip):
                return []
    return complaints


def _query(case: Case) -> dns.message.Message:
    edns = case.get("edns", {})
    rdclass = case.get("qclass", "IN")
    if edns is False:
        query = dns.message.make_query(case["qname"], case["qtype"], rdclass, use_edns=False)
    else:
        edns = edns if isinstance(edns, dict) else {}
        query = dns.message.make_query(
            case["qname"],
            case["qtype"],
            rdclass,
            use_edns=edns.get("version", 0),
            payload=edns.get("payload", 1232),
            ednsflags=dns.flags.DO if edns.get("do") else 0,
        )
    flags = {dns.flags.RD: case.get("rd", True), dns.flags.AD: case.get("ad"), dns.flags.CD: case.get("cd")}
    query.flags = sum(flag for flag, wanted in flags.items() if wanted)
    return query


def _over_udp(wire: bytes, server: tuple[str, int]) -> bytes:
    with socket.socket(socket.AF_INET6 if ":" in server[0] else socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(server)
        sock.settimeout(TIMEOUT)
        sock.send(wire)
        while True:
            response = sock.recv(65535)
            if response[:2] == wire[:2]:
                return response


def _over_tcp(wire: bytes, server: tuple[str, int]) -> bytes:
    with socket.create_connection(server, TIMEOUT) as sock, sock.makefile("rb") as stream:
        sock.sendall(struct.pack("!H", len(wire)) + wire)
        prefix = stream.read(2)
        if len(prefix) < 2:
            raise ConnectionError("closed without a reply")
        (size,) = struct.unpack("!H", prefix)
        return stream.read(size)


def _complaints(case: Case, query: dns.message.Message, wire: bytes, tcp: bool, server_ip: str) -> list[str]:
    try:
        response = dns.message.from_wire(wire, one_rr_per_rrset=True)
    except Exception as error:  # noqa: BLE001 - whatever dnspython cannot read is the server's fault
        return [f"the response can't be read: {error!r}"]
    found: list[str] = []
    if not response.flags & dns.flags.QR or response.opcode() != query.opcode():
        found.append("not a response to a query")
    asked, echoed = query.question, response.question
    if len(echoed) != 1 or (echoed[0].name.labels, echoed[0].rdtype, echoed[0].rdclass) != (
        asked[0].name.labels,
        asked[0].rdtype,
        asked[0].rdclass,
    ):
        found.append(f"the question came back as {echoed}")
    if query.edns < 0 <= response.edns:
        found.append("OPT in a response to a query without")
    limit = 512 if query.edns < 0 else max(512, query.payload)
    if not tcp and len(wire) > limit:
        found.append(f"{len(wire)} octets over UDP to a client that takes {limit}")
    wanted = case.get("rcode", "NOERROR")
    wanted = [wanted] if isinstance(wanted, str) else wanted
    if dns.rcode.to_text(response.rcode()) not in wanted:
        found.append(f"rcode {dns.rcode.to_text(response.rcode())}, not {' or '.join(wanted)}")
    truncated = bool(response.flags & dns.flags.TC)
    bits = {
        "aa": bool(response.flags & dns.flags.AA),
        "ad_bit": bool(response.flags & dns.flags.AD),
        "do_bit": bool(response.ednsflags & dns.flags.DO),
    }
    found += [f"{bit} is {int(is_)}" for bit, is_ in bits.items() if case.get(bit) not in (None, is_)]
    if truncated != (bool(case.get("tc")) and not tcp):
        found.append(f"tc is {int(truncated)}")
    for section in _SECTIONS:
        if section in case and (section == "answer" or not truncated):
            optional = section == "additional" and case.get("additional_optional")
            found += _compare(section, case[section], getattr(response, section), server_ip, truncated, bool(optional))
    if len(response.answer) < case.get("answer_min", 0):
        found.append(f"answer has {len(response.answer)} records, not {case['answer_min']} or more")
    return found + _behind_their_targets(response.answer)


def _compare(
    section: str, wanted: list[dict[str, Any]], got: list[Any], server_ip: str, partial: bool, optional: bool
) -> list[str]:
    """Compare a section as a set of records; `partial`: it may lack some."""
    records = [(rrset.name, rrset.rdtype, rrset[0], rrset.ttl) for rrset in got]
    if optional and not records:
        return []
    found = []
    rest = list(records)
    # A '*' takes whatever the definite ones leave.
    for want in sorted(wanted, key=lambda want: str(want["rdata"]) == "*"):
        name, rdtype = dns.name.from_text(want["name"]), dns.rdatatype.from_text(want["type"])
        text = str(want["rdata"]).replace("$SERVER_IP", server_ip)
        rdata = None if text == "*" else dns.rdata.from_text(dns.rdataclass.IN, rdtype, text, relativize=False)
        match = next((r for r in rest if r[:2] == (name, rdtype) and (rdata is None or _same(rdata, r[2]))), None)
        if match is None:
            if not partial:
                found.append(f"{section}: {name} {want['type']} {text} is missing")
            continue
        rest.remove(match)
        if want.get("ttl", match[3]) != match[3] or match[3] > want.get("ttl_max", match[3]):
            found.append(f"{section}: {name} {want['type']} {text} has TTL {match[3]}")
    return found + [
        f"{section}: {name} {dns.rdatatype.to_text(rdtype)} {rdata} is too much" for name, rdtype, rdata, _ in rest
    ]


def _same(wanted: Any, got: Any) -> bool:
    if wanted.rdtype == dns.rdatatype.SOA:
        # Serial and times are the server's own.
        return bool((wanted.mname, wanted.rname) == (got.mname, got.rname))
    return bool(wanted == got)


def _behind_their_targets(answer: list[Any]) -> list[str]:
    """CNAMEs that stand behind records of the name they point to."""
    seen: set[dns.name.Name] = set()
    found = []
    for rrset in answer:
        if rrset.rdtype == dns.rdatatype.CNAME and rrset[0].target in seen:
            found.append(f"answer: the CNAME of {rrset.name} stands behind its target")
        seen.add(rrset.name)
    return found
