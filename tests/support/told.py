"""What a server of names on loopback tells, as text."""

from __future__ import annotations

import dns.flags
import dns.message
import dns.query

from bench.scenarios import Question

Told = tuple[int, frozenset[str]]
"""(rcode, data of the answer's records)"""


def told_by(port: int, question: Question) -> Told:
    """The answer of 127.0.0.1 over UDP; it must be whole."""
    query = dns.message.make_query(question.name, question.type)
    reply = dns.query.udp(query, "127.0.0.1", port=port, timeout=5)
    assert not reply.flags & dns.flags.TC
    records = (record.to_text() for rrset in reply.answer for record in rrset)
    return reply.rcode(), frozenset(records)
