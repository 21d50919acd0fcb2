"""What of a reply is believed, and for how long it may be kept."""

from __future__ import annotations

import ipaddress

import pytest

from hsdnsd.cache.policy import MAX_CHAIN, Accepted, TtlLimits, accept
from hsdnsd.wire.const import Rcode, RRType
from hsdnsd.wire.message import Message
from hsdnsd.wire.name import Name, from_text, is_within
from hsdnsd.wire.rrset import RRset, soa_rdata

OWN = from_text("cluster.local")
LIMITS = TtlLimits(least=0, most=86400, most_negative=30)


def a(name: str, *addresses: str, ttl: int = 300) -> RRset:
    return RRset(from_text(name), RRType.A, ttl, tuple(ipaddress.ip_address(text).packed for text in addresses))


def cname(name: str, target: str, ttl: int = 300) -> RRset:
    return RRset(from_text(name), RRType.CNAME, ttl, (from_text(target),))


def soa(name: str, ttl: int = 300, minimum: int = 300) -> RRset:
    rdata = soa_rdata(from_text("ns." + name), from_text("h." + name), 1, 7200, 3600, 1209600, minimum)
    return RRset(from_text(name), RRType.SOA, ttl, (rdata,))


def ns(name: str) -> RRset:
    return RRset(from_text(name), RRType.NS, 300, (from_text("ns.example"),))


def judge(
    answer: tuple[RRset, ...] = (),
    authority: tuple[RRset, ...] = (),
    additional: tuple[RRset, ...] = (),
    rcode: int = Rcode.NOERROR,
    name: str = "a.test",
    qtype: int = RRType.A,
    limits: TtlLimits = LIMITS,
    do: bool = True,
) -> Accepted | None:
    message = Message(1, 0x8180 | rcode, rcode, b"", answer, authority, additional, False)
    return accept(message, from_text(name), qtype, lambda other: is_within(other, OWN), limits, do)


def must(accepted: Accepted | None) -> Accepted:
    assert accepted is not None
    return accepted


def test_data_is_taken_and_lives_as_long_as_its_ttl() -> None:
    kept = must(judge((a("a.test", "192.0.2.1", "192.0.2.2", ttl=120),)))
    assert kept == Accepted(Rcode.NOERROR, (a("a.test", "192.0.2.1", "192.0.2.2", ttl=120),), (), 120)


def test_the_owner_is_compared_without_regard_to_case() -> None:
    assert must(judge((a("A.TEST", "192.0.2.1"),))).answer == (a("A.TEST", "192.0.2.1"),)


def test_nothing_else_is_taken() -> None:
    kept = must(
        judge(
            (a("a.test", "192.0.2.1"), a("bank.test", "203.0.113.66"), soa("a.test")),
            (ns("test"), soa("test")),
            (a("ns.example", "203.0.113.66"),),
        )
    )
    assert (kept.answer, kept.authority) == ((a("a.test", "192.0.2.1"),), ())


@pytest.mark.parametrize(
    "answer",
    [
        (a("b.test", "192.0.2.1"),),
        (RRset(from_text("a.test"), RRType.AAAA, 300, (b"\0" * 16,)),),
        (cname("b.test", "a.test"), a("b.test", "192.0.2.1")),
    ],
    ids=["another name", "another type", "a chain that begins elsewhere"],
)
def test_an_answer_that_is_not_to_this_question_is_none(answer: tuple[RRset, ...]) -> None:
    assert judge(answer) is None


def test_a_chain_is_followed_in_whatever_order_it_stands() -> None:
    records = (a("c.test", "192.0.2.1", ttl=60), cname("b.test", "c.test", ttl=90), cname("a.test", "b.test", ttl=120))
    kept = must(judge(records))
    assert kept.answer == records[::-1]
    assert kept.ttl == 60


def test_a_dname_comes_along_with_the_cname_it_made() -> None:
    dname = RRset(from_text("old.test"), RRType.DNAME, 300, (from_text("new.test"),))
    records = (dname, cname("x.old.test", "x.new.test"), a("x.new.test", "192.0.2.1"))
    assert must(judge(records, name="x.old.test")).answer == records


def test_signatures_on_the_chain_come_along() -> None:
    signature = RRset(from_text("a.test"), RRType.RRSIG, 300, (b"sig",))
    stray = RRset(from_text("z.test"), RRType.RRSIG, 300, (b"sig",))
    assert must(judge((a("a.test", "192.0.2.1"), signature, stray))).answer == (a("a.test", "192.0.2.1"), signature)


def record(name: str, rtype: int, rdata: bytes = b"x", ttl: int = 300) -> RRset:
    return RRset(from_text(name), rtype, ttl, (rdata,))


def test_signatures_and_proofs_that_nobody_asked_for_are_left_out() -> None:
    signature, proof = record("a.test", RRType.RRSIG), record("test", RRType.NSEC)
    answer = (a("a.test", "192.0.2.1"), signature)
    assert must(judge(answer, (proof, signature), do=False)) == must(judge(answer[:1], do=False))
    denial = (soa("test"), proof, record("test", RRType.RRSIG))
    assert must(judge(authority=denial, do=False)) == must(judge(authority=denial[:1], do=False))
    # But not if they are what was asked for.
    for wanted in (signature, record("a.test", RRType.NSEC)):
        assert must(judge((wanted,), qtype=wanted.rtype, do=False)).answer == (wanted,)


def test_the_proof_that_a_wildcard_stands_for_a_name_comes_along_with_its_signature() -> None:
    answer = (a("a.test", "192.0.2.1"), record("a.test", RRType.RRSIG))
    proof = (record("0.test", RRType.NSEC, ttl=20), record("0.test", RRType.RRSIG, ttl=20))
    other = (ns("test"), record("test", RRType.RRSIG), soa("test"))
    kept = must(judge(answer, (*other, *proof)))
    assert (kept.answer, kept.authority, kept.ttl) == (answer, proof, 20)
    # Nobody but us has a say on our zones.
    forged = tuple(RRset(from_text("0.cluster.local"), rrset.rtype, 300, rrset.rdatas) for rrset in proof)
    assert must(judge(answer, forged)).authority == ()
    # Without a signature on the data it proves nothing.
    assert must(judge(answer[:1], proof)).authority == ()


def test_a_dname_and_its_signature_come_along_where_the_alias_itself_is_asked_for() -> None:
    dname = RRset(from_text("old.test"), RRType.DNAME, 300, (from_text("new.test"),))
    records = (dname, record("old.test", RRType.RRSIG), cname("x.old.test", "x.new.test"))
    assert must(judge(records, name="x.old.test", qtype=RRType.CNAME)).answer == records


def test_a_dname_that_is_not_above_the_name_stays_behind() -> None:
    dname = RRset(from_text("x.old.test"), RRType.DNAME, 300, (from_text("new.test"),))
    alias = cname("x.old.test", "x.new.test")
    assert must(judge((dname, alias), name="x.old.test", qtype=RRType.CNAME)).answer == (alias,)


@pytest.mark.parametrize("qtype", [RRType.A, RRType.CNAME])
def test_of_two_aliases_of_a_name_the_first_counts(qtype: int) -> None:
    first = cname("a.test", "b.test")
    both = RRset(first.name, RRType.CNAME, 300, (*first.rdatas, from_text("c.test")))
    records = (both, a("b.test", "192.0.2.1"), a("c.test", "192.0.2.2"))
    expected = (first,) if qtype == RRType.CNAME else (first, records[1])
    assert must(judge(records, qtype=qtype)).answer == expected


def test_a_dname_that_makes_the_name_too_long_is_told() -> None:
    dname = RRset(from_text("test"), RRType.DNAME, 120, (from_text("x" * 63 + "." + "y" * 63),))
    assert must(judge((dname,), rcode=Rcode.YXDOMAIN)) == Accepted(Rcode.YXDOMAIN, (dname,), (), 120)
    assert judge(rcode=Rcode.YXDOMAIN) is None
    assert judge((dname,), rcode=Rcode.YXDOMAIN, name="a.example") is None


@pytest.mark.parametrize(
    "records",
    [
        (cname("a.test", "a.test"),),
        (cname("a.test", "b.test"), cname("b.test", "a.test")),
        tuple(cname(f"{i}.test" if i else "a.test", f"{i + 1}.test") for i in range(MAX_CHAIN + 2)),
    ],
    ids=["itself", "two", "too long"],
)
def test_a_loop_or_an_endless_chain_is_no_answer(records: tuple[RRset, ...]) -> None:
    assert judge(records) is None


def test_the_longest_chain_that_is_allowed() -> None:
    links = tuple(cname(f"{i}.test" if i else "a.test", f"{i + 1}.test") for i in range(MAX_CHAIN))
    assert len(must(judge((*links, a(f"{MAX_CHAIN}.test", "192.0.2.1")))).answer) == MAX_CHAIN + 1


def test_a_chain_into_an_own_zone_is_cut_there() -> None:
    target = "kubernetes.default.svc.cluster.local"
    kept = must(judge((cname("a.test", target), a(target, "203.0.113.66"))))
    assert (kept.answer, kept.chase) == ((cname("a.test", target),), from_text(target))


def test_nxdomain_behind_a_chain_into_an_own_zone_is_not_believed() -> None:
    kept = must(judge((cname("a.test", "x.cluster.local"),), (soa("cluster.local"),), rcode=Rcode.NXDOMAIN))
    assert (kept.rcode, kept.authority, kept.chase) == (Rcode.NOERROR, (), from_text("x.cluster.local"))


@pytest.mark.parametrize("rcode", [Rcode.NOERROR, Rcode.NXDOMAIN])
def test_a_denial_keeps_one_soa_and_its_proof(rcode: int) -> None:
    nsec = RRset(from_text("z.test"), RRType.NSEC, 600, (b"nsec",))
    kept = must(judge((), (soa("other.example"), soa("test"), nsec, ns("test")), rcode=rcode))
    assert kept.rcode == rcode
    assert [(rrset.name, rrset.rtype, rrset.ttl) for rrset in kept.authority] == [
        (from_text("test"), RRType.SOA, 30),
        (from_text("z.test"), RRType.NSEC, 30),
    ]
    assert kept.ttl == 30


@pytest.mark.parametrize(
    ("ttl", "minimum", "cap", "kept"),
    [(20, 300, 3600, 20), (300, 20, 3600, 20), (300, 300, 10, 10), (300, 0, 30, 0), (300, 0x80000000, 30, 0)],
)
def test_a_denial_lives_as_long_as_the_least_of_ttl_minimum_and_cap(
    ttl: int, minimum: int, cap: int, kept: int
) -> None:
    accepted = must(judge((), (soa("test", ttl, minimum),), rcode=Rcode.NXDOMAIN, limits=TtlLimits(most_negative=cap)))
    assert (accepted.ttl, accepted.authority[0].ttl) == (kept, kept)


def test_a_denial_without_soa_is_passed_on_and_not_kept() -> None:
    assert must(judge(rcode=Rcode.NXDOMAIN)) == Accepted(Rcode.NXDOMAIN, (), (), 0)


def test_a_denial_at_the_end_of_a_chain_is_told_with_the_chain() -> None:
    kept = must(judge((cname("a.test", "gone.test", ttl=7),), (soa("test"),), rcode=Rcode.NXDOMAIN))
    assert (kept.rcode, kept.answer, kept.ttl) == (Rcode.NXDOMAIN, (cname("a.test", "gone.test", ttl=7),), 7)


def test_a_chain_that_the_upstream_left_off_is_ours_to_follow() -> None:
    assert must(judge((cname("a.test", "b.test"),))).chase == from_text("b.test")


def test_a_soa_of_a_zone_beside_the_name_denies_nothing() -> None:
    assert must(judge((), (soa("b.test"),))).authority == ()


def test_a_referral_is_no_answer() -> None:
    assert judge((), (ns("test"),)) is None


@pytest.mark.parametrize("rcode", [Rcode.SERVFAIL, Rcode.REFUSED, Rcode.FORMERR, Rcode.NOTIMP, 9, 23])
def test_other_rcodes_are_no_answer(rcode: int) -> None:
    assert judge((a("a.test", "192.0.2.1"),), rcode=rcode) is None


def test_ttls_are_kept_between_the_limits() -> None:
    limits = TtlLimits(least=30, most=3600)
    assert must(judge((a("a.test", "192.0.2.1", ttl=5),), limits=limits)).ttl == 30
    kept = must(judge((a("a.test", "192.0.2.1", ttl=604800),), limits=limits))
    assert (kept.ttl, kept.answer[0].ttl) == (3600, 3600)


def test_unknown_types_are_data_like_any_other() -> None:
    rrset = RRset(Name(b"\x01a\x04test\x00"), 65400, 60, (b"\xc0\x0c",))
    assert must(judge((rrset,), qtype=65400)).answer == (rrset,)
