"""Every way in which the daemon is known to answer otherwise than unbound does, each with its reason.

A predicate says as little as it can: which script or question it is about, and what exactly either side says.
docs/differences.md is made from this table (`python -m tests.differential`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from tests.differential.comparing import Case, data
from tests.differential.questions import LOCAL
from tests.differential.rdata import ANY, DNAME, DS, HTTPS, SVCB
from tests.differential.reading import Reply
from tests.differential.world import AA, FORMERR, NOTIMP, NXDOMAIN, REFUSED, SERVFAIL, TC, YXDOMAIN, links, split
from tests.support.packets import AAAA, CNAME, NS, SOA, A, name

NOERROR = 0
# How many aliases unbound follows, and how many messages the daemon sends for one question.
UNBOUND_FOLLOWS, OUR_MESSAGES = 11, 6
_LOCAL = {name(text) for text in LOCAL}
_UNBOUNDS_OWN = (name("test"), name("home.arpa"))


class Difference(NamedTuple):
    """A class of differences.

    Attributes:
        title: what differs, as a reader of docs/differences.md looks for it.
        reason: why it is so: an RFC, or what was decided.
        covers: whether a case is of it.
    """

    title: str
    reason: str
    covers: Callable[[Case, Reply, Reply], bool]


def explained(case: Case) -> Difference | None:
    """The class that a case belongs to."""
    ours, theirs = case.ours, case.theirs
    if ours is None or theirs is None:
        return None
    return next((difference for difference in DIFFERENCES if difference.covers(case, ours, theirs)), None)


def _rcodes(*scripts: str, ours: int, theirs: int) -> Callable[[Case, Reply, Reply], bool]:
    """One says this, the other that, to questions of these scripts; flags are the same."""

    def covers(case: Case, our_reply: Reply, their_reply: Reply) -> bool:
        return (
            case.aspects <= {"rcode", "TC"}
            and script_of(case) in scripts
            and (our_reply.rcode, their_reply.rcode) == (ours, theirs)
        )

    return covers


def script_of(case: Case) -> str:
    """The script of the name asked for, without the chain before it."""
    return split(case.question.owner)[1].rpartition("-")[2]


def _only(case: Case, *aspects: str) -> bool:
    return case.aspects == set(aspects)


def _soas(reply: Reply) -> set[bytes]:
    return {rdata for (_, rtype, _), rrset in reply.authority.items() if rtype == SOA for rdata in rrset.rdatas}


def _end_of_chain(reply: Reply, owner: bytes) -> bytes:
    aliases = {at: min(rrset.rdatas) for (at, rtype, _), rrset in reply.answer.items() if rtype == CNAME}
    at = owner.lower()
    while at in aliases:
        at = aliases.pop(at)
    return at


def _above(owner: bytes) -> Iterator[bytes]:
    """A name and those above it."""
    while owner != b"\0":
        yield owner
        owner = owner[owner[0] + 1 :]
    yield owner


def _local(case: Case) -> bool:
    return case.question.owner.lower() in _LOCAL


def _long_chain(case: Case, ours: Reply, theirs: Reply) -> bool:
    return (
        case.aspects <= {"rcode", "TC"}
        and sum(length for _, length in links(case.question.owner)) > UNBOUND_FOLLOWS
        and ours.rcode in (NOERROR, NXDOMAIN)
        and theirs.rcode == SERVFAIL
    )


def _link_by_link(case: Case, ours: Reply, theirs: Reply) -> bool:
    told_alone = sum(length for kind, length in links(case.question.owner) if kind == "alias")
    return (
        case.aspects <= {"rcode", "TC"}
        and told_alone >= OUR_MESSAGES
        and ours.rcode == SERVFAIL
        and theirs.rcode in (NOERROR, NXDOMAIN)
    )


def _soa_of_another_zone(case: Case, ours: Reply, theirs: Reply) -> bool:
    above = set(_above(_end_of_chain(theirs, case.question.owner)))
    theirs_alone = data(theirs.authority).items() - data(ours.authority).items()
    return _only(case, "authority") and not _soas(ours) and all(owner[0] not in above for owner, _ in theirs_alone)


def _one_soa(case: Case, ours: Reply, theirs: Reply) -> bool:
    return _only(case, "authority") and len(_soas(ours)) == 1 and _soas(ours) < _soas(theirs)


def _high_minimum(case: Case, ours: Reply, theirs: Reply) -> bool:
    return (
        _only(case, "authority TTL")
        and all(rdata[-4] & 0x80 for rdata in _soas(ours))
        and {rrset.ttl for rrset in ours.authority.values()} == {0}
    )


def _shared_soa(case: Case, ours: Reply, theirs: Reply) -> bool:
    # All other SOA of the scripted upstream belong to one name each.
    return _only(case, "authority TTL") and theirs.authority.keys() == {(b"\0", SOA, 1)}


def _other_class(case: Case, ours: Reply, theirs: Reply) -> bool:
    theirs_alone = data(theirs.answer).items() - data(ours.answer).items()
    return (
        _only(case, "answer")
        and ours.answer.keys() < theirs.answer.keys()
        and all(owner[2] != 1 for owner, _ in theirs_alone)
    )


def _refusal(case: Case, ours: Reply, theirs: Reply) -> bool:
    return (
        case.aspects <= {"RA", "AD"}
        and ours.rcode == theirs.rcode
        and ours.rcode in (FORMERR, REFUSED)
        and not (ours.answer or theirs.answer)
    )


def _own_soa(case: Case, ours: Reply, theirs: Reply) -> bool:
    return _only(case, "authority") and _local(case) and ours.authority.keys() == theirs.authority.keys()


def _name_server(case: Case, ours: Reply, theirs: Reply) -> bool:
    return (
        _only(case, "answer")
        and _local(case)
        and ours.answer.keys() == theirs.answer.keys()
        and all(rtype in (NS, SOA) for _, rtype, _ in ours.answer)
    )


def _empty_tree(case: Case, ours: Reply, theirs: Reply) -> bool:
    return (
        case.question.owner.lower() in (name("invalid"), name("onion"))
        and _only(case, "rcode")
        and (ours.rcode, theirs.rcode) == (NXDOMAIN, NOERROR)
    )


def _authority(case: Case, one: Reply, other: Reply) -> bool:
    """One speaks of a zone of its own, the other asked the upstream."""
    return one.flag(AA) and not other.flag(AA) and case.aspects <= {"AA", "rcode", "answer", "authority"}


def _signer(case: Case, ours: Reply, theirs: Reply) -> bool:
    return case.question.qtype == DS and _local(case) and _authority(case, ours, theirs)


def _test_and_home(case: Case, ours: Reply, theirs: Reply) -> bool:
    owner = case.question.owner.lower()
    return any(owner.endswith(zone) for zone in _UNBOUNDS_OWN) and _authority(case, theirs, ours)


def _below_localhost(case: Case, ours: Reply, theirs: Reply) -> bool:
    return (
        case.question.owner.lower() == name("www.localhost")
        and case.question.qtype in (NS, SOA)
        and _only(case, "answer", "authority")
        and not ours.answer
        and set(theirs.answer) == {(name("www.localhost"), case.question.qtype, 1)}
    )


def _cached_dname(case: Case, ours: Reply, theirs: Reply) -> bool:
    moved = {owner for owner, rtype, _ in theirs.answer if rtype == DNAME}
    return _only(case, "answer TTL") and all(
        rtype == CNAME and not moved.isdisjoint(_above(owner))
        for (owner, rtype, rclass), rrset in theirs.answer.items()
        if rrset.ttl == 0 and ours.answer[owner, rtype, rclass].ttl
    )


DIFFERENCES = (
    Difference(
        "A reply about another name, type or class is no answer",
        "Here SERVFAIL, there NOERROR without data: that a name has nothing is believed of who says so (RFC 2308 "
        "section 2.2), and not of who speaks of something else.",
        _rcodes("onlyothername", "onlyothertype", "onlychaos", ours=SERVFAIL, theirs=NOERROR),
    ),
    Difference(
        "A referral is no answer",
        "Here SERVFAIL, there NOERROR with the NS records: an upstream that refers us elsewhere does not recurse, and "
        "what it says is not that there is no data (RFC 2308 section 2.2).",
        _rcodes("referral", "referralnora", "upward", ours=SERVFAIL, theirs=NOERROR),
    ),
    Difference(
        "Rdata of a wrong size",
        "Here SERVFAIL, there the octets as they came: an A record has 4 octets, AAAA 16 (RFC 1035 section 3.4.1, RFC "
        "3596 section 2.2), a DNAME is a name; clients that copy them without a look are harmed.",
        lambda case, ours, theirs: _rcodes("wrongsize", ours=SERVFAIL, theirs=NOERROR)(case, ours, theirs)
        and case.question.qtype in (A, AAAA, DNAME),
    ),
    Difference(
        "HTTPS and SVCB are not looked into",
        "Here the octets as they came, there SERVFAIL if no name can be read in them: a forwarder needs to understand "
        "no type that is newer than RFC 3597.",
        lambda case, ours, theirs: _rcodes("wrongsize", ours=NOERROR, theirs=SERVFAIL)(case, ours, theirs)
        and case.question.qtype in (HTTPS, SVCB),
    ),
    Difference(
        "A DNAME without its CNAME",
        "Here SERVFAIL, there the CNAME is made up: whoever answers with a DNAME tells the CNAME too (RFC 6672 section "
        "3.1), and a recursive server that does not is none.",
        lambda case, ours, theirs: script_of(case) == "dnamealone"
        and case.aspects <= {"rcode", "TC"}
        and ours.rcode == SERVFAIL
        and theirs.rcode in (NOERROR, NXDOMAIN),
    ),
    Difference(
        "Chains of more than 11 aliases",
        "Here up to 16 are followed in one reply, there 11 at all: no RFC sets a limit, and what was told whole costs "
        "nothing to take.",
        _long_chain,
    ),
    Difference(
        "Chains told link by link",
        "Here SERVFAIL after 6 messages to upstreams, there up to 11 links: the upstream recurses, so it tells "
        "a chain to its end; six messages for one question are the most that it can make us send.",
        _link_by_link,
    ),
    Difference(
        "An alias and data at one name",
        "Here the data, there what the alias leads to: what answers the question comes first (RFC 1034 section 5.3.3, "
        "step 4.a before 4.c), if both should not be (section 3.6.2).",
        lambda case, ours, theirs: script_of(case) == "aliasanddata" and _only(case, "answer"),
    ),
    Difference(
        "NXDOMAIN with data",
        "Here NOERROR with the data, there NXDOMAIN with it: the code is about the end of the chain (RFC 2308 section "
        "2.1, RFC 6604 section 3), which has data.",
        lambda case, ours, theirs: script_of(case) in ("nxdata", "nxdatabare")
        and case.aspects <= {"rcode", "TC"}
        and ours.rcode == NOERROR
        # It does not take a CNAME there for what was asked for, but follows it.
        and theirs.rcode == (SERVFAIL if case.question.qtype == CNAME else NXDOMAIN),
    ),
    Difference(
        "YXDOMAIN without a DNAME",
        "Here SERVFAIL, there handed on: to a question the code says that a DNAME made its name too long (RFC 6672 "
        "section 2.2), and there is none.",
        _rcodes("yxdomain", ours=SERVFAIL, theirs=YXDOMAIN),
    ),
    Difference(
        "The same record twice",
        "Here once, there as often as the upstream told it, so that it is truncated earlier: an RRset has no record "
        "twice (RFC 2181 section 5).",
        lambda case, ours, theirs: script_of(case) == "twice" and _only(case, "TC") and theirs.flag(TC),
    ),
    Difference(
        "Records of another class",
        "Here left out, there handed on: what is asked for is class IN.",
        _other_class,
    ),
    Difference(
        "The SOA of a zone that does not hold the name",
        "Here left out and the denial not kept, there handed on: only the name's own zone can say for how long it does "
        "not exist (RFC 2308 section 3).",
        _soa_of_another_zone,
    ),
    Difference(
        "More than one SOA",
        "Here the first that holds the name, there all: a denial has one (RFC 2308 section 2.1).",
        _one_soa,
    ),
    Difference(
        "A MINIMUM with the high bit",
        "Here 0, there the longest that is allowed: it is a TTL (RFC 2308 section 4), and such a TTL is 0 (RFC 2181 "
        "section 8).",
        _high_minimum,
    ),
    Difference(
        "The TTL of a SOA that many names share",
        "Here that of the denial itself, there what is left since another name's denial brought the SOA: here an "
        "answer is kept whole, as it came, so that no part of it can be from another; there each RRset is kept once.",
        _shared_soa,
    ),
    Difference(
        "Class ANY",
        "Here REFUSED, there answered as class IN: nobody but an attacker asks for it (docs/gate.md).",
        lambda case, ours, theirs: case.question.qclass == 255
        and _only(case, "rcode")
        and (ours.rcode, theirs.rcode) == (REFUSED, NOERROR),
    ),
    Difference(
        "Type ANY",
        "Here a HINFO record that says so, there all that the upstream has: RFC 8482 section 4.2, so that nobody is "
        "amplified through us.",
        lambda case, ours, theirs: case.question.qtype == ANY and case.aspects <= {"answer", "TC"},
    ),
    Difference(
        "MAILA and MAILB",
        "Here NOTIMP, there FORMERR: nothing is wrong with the form of such a question, nobody implements it any more "
        "(docs/gate.md).",
        lambda case, ours, theirs: case.question.qtype in (253, 254)
        and case.aspects <= {"rcode", "RA", "AD"}
        and (ours.rcode, theirs.rcode) == (NOTIMP, FORMERR),
    ),
    Difference(
        "Flags of refusals",
        "Here RA stands in every reply to a question that could be read, there not in refusals, where AD is copied "
        "from the query: recursion is available whatever was asked, and nothing was authenticated.",
        _refusal,
    ),
    Difference(
        "The numbers in our own SOA",
        "Here those of RFC 6303 section 3 with the zone itself as MNAME, there `localhost`: the RFC's zone file has it "
        "so.",
        _own_soa,
    ),
    Difference(
        "The name server of a local zone",
        "Here the zone itself, there `localhost`: as in the zone file of RFC 6303 section 3.",
        _name_server,
    ),
    Difference(
        "`invalid` and `onion` themselves",
        "Here they do not exist, there they are empty: there are no names in them (RFC 6761 section 6.4, RFC 7686 "
        "section 2).",
        _empty_tree,
    ),
    Difference(
        "DS of a local zone",
        "Here there is none, there the zone above is asked: nobody above knows of these zones.",
        _signer,
    ),
    Difference(
        "`test` and `home.arpa`",
        "Here forwarded, there empty: labs resolve the one (RFC 6761 section 6.2 leaves it to whoever runs the "
        "network), and the node's resolver may be the home's own router, which answers the other (RFC 8375 section 4).",
        _test_and_home,
    ),
    Difference(
        "NS and SOA below `localhost`",
        "Here no data, there a zone of its own at each name: only addresses are told of all of them (RFC 6761 section "
        "6.3).",
        _below_localhost,
    ),
    Difference(
        "The TTL of a DNAME's CNAME",
        "Here as the upstream told it, there 0 when it is made up anew from the cache: it is that of the DNAME "
        "(RFC 6672 section 3.1).",
        _cached_dname,
    ),
)  # fmt: skip
