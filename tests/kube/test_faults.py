"""What the zones say through every fault of the API server, over real HTTP. Each test has the letter and number of a
fault (docs/faults.md, which says where the others are)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import resource
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hsdnsd.kube.backoff import AT_ONCE, HEALTHY
from hsdnsd.records.model import Kind
from hsdnsd.wire.const import EDE, RRType
from tests.support.facts import absolute
from tests.support.fake_apiserver import Answer, FakeApiServer, status_body
from tests.support.followed import PLURALS, Followed, endpoint_slice, play, service
from tests.support.loop_clock import jump
from tests.support.reflected import until

DB, OLD, NEW = "db.n.svc", "old.n.svc", "new.n.svc"
FIRST, SECOND, THIRD = {"10.0.0.1"}, {"10.0.0.2"}, {"10.0.0.3"}
GONE = Answer(410, status_body(410, "Expired", "too old resource version"))
DENIED = Answer(403, status_body(403, "Forbidden"))


def filled(api: FakeApiServer) -> None:
    """Two headless Services, each with an endpoint."""
    for name, address in (("db", "10.0.0.1"), ("old", "10.0.0.2")):
        api.put(service(name))
        api.put(endpoint_slice(name, address))


async def watching(followed: Followed) -> None:
    """Wait until everything is known and every watch open."""
    await followed.synced()
    await until(lambda: all(state.connected for states in followed.states.values() for state in states))


def move(api: FakeApiServer) -> None:
    """What happens while the daemon can't see: one is changed, one is gone, one is new."""
    api.put(endpoint_slice("db", "10.0.0.3"))
    api.delete(service("old"))
    api.delete(endpoint_slice("old"))
    api.put(service("new"))
    api.put(endpoint_slice("new", "10.0.0.2"))


async def moved(followed: Followed) -> None:
    """The answers have followed `move`, forward and reverse."""
    await followed.becomes(DB, THIRD)
    await followed.becomes(OLD, "NXDOMAIN")
    await followed.becomes(NEW, SECOND)
    assert followed.ask("1.0.0.10.in-addr.arpa.", RRType.PTR) == "NXDOMAIN"
    assert followed.ask("2.0.0.10.in-addr.arpa.", RRType.PTR) == {"10-0-0-2.new.n.svc.cluster.local."}
    assert followed.ask("3.0.0.10.in-addr.arpa.", RRType.PTR) == {"10-0-0-3.db.n.svc.cluster.local."}


def cut(api: FakeApiServer) -> None:
    for plural in PLURALS:
        api.cut(plural)


def test_f1_no_api_server_at_start_is_never_nxdomain(tmp_path: Path) -> None:
    def silent(api: FakeApiServer) -> None:
        filled(api)
        for plural in PLURALS:
            api.scripts[plural].extend([Answer(503, b"")] * 30)

    async def test(followed: Followed) -> None:
        await followed.api.requested(40)
        if not followed.table.synced:
            result = followed.zone.look_up(absolute(DB), RRType.A)
            assert (result.ede, followed.ask(DB)) == (EDE.NOT_READY, "SERVFAIL")
        await followed.becomes(DB, FIRST)
        await followed.becomes("nobody.n.svc", "NXDOMAIN")

    play(tmp_path, test, silent)


def test_f3_f4_an_outage_of_hours_changes_nothing_and_what_changed_meanwhile_is_followed(tmp_path: Path) -> None:
    async def test(followed: Followed) -> None:
        await watching(followed)
        for plural in PLURALS:
            followed.api.scripts[plural].extend([Answer(503, b"")] * 200)
        cut(followed.api)
        await followed.api.requested(360)
        assert followed.clock > 1000 + 3600
        assert max(followed.pauses) == 30.0
        assert (followed.ask(DB), followed.ask(OLD), followed.ask(NEW)) == (FIRST, SECOND, "NXDOMAIN")
        move(followed.api)
        followed.api.compact()
        await moved(followed)

    play(tmp_path, test, filled)


@pytest.mark.parametrize("scoped", [False, True])
def test_f3_a_restarted_server_is_followed_without_growing_waits(tmp_path: Path, scoped: bool) -> None:
    """It denies before it has read its roles, and then knows no version of before: neither is waited out for long."""

    async def test(followed: Followed) -> None:
        await watching(followed)
        followed.clock += HEALTHY
        for plural in PLURALS:
            times = 1 + (scoped and plural == "endpointslices")
            followed.api.scripts[plural].extend([DENIED] * 2 * times + [GONE] * times)
        cut(followed.api)
        move(followed.api)
        await moved(followed)
        # After the cut, and after each denial; nothing is waited for because a version is gone. (Which of two watches
        # of the same kind is told what, is chance.)
        if not scoped:
            assert sorted(followed.pauses) == [AT_ONCE, AT_ONCE, 0.5, 0.5, 0.75, 0.75]
        assert max(followed.pauses) < 2.0
        lists = sum((state.lists for states in followed.states.values() for state in states), Counter())
        assert lists["start"] == 2 + scoped
        assert lists["gone"] >= 2

    play(tmp_path, test, filled, scoped=scoped)


@pytest.mark.parametrize("form", ["status", "event", "body"])
def test_f5_gone_in_every_form_is_listed_again_at_once(tmp_path: Path, form: str) -> None:
    async def test(followed: Followed) -> None:
        await watching(followed)
        followed.clock += HEALTHY
        status = status_body(410, "Expired")
        event = json.dumps({"type": "ERROR", "object": status}).encode() + b"\n"
        for plural in PLURALS:
            if form == "event":
                followed.api.send(plural, event)
            else:
                followed.api.scripts[plural].append(GONE if form == "status" else Answer(200, status))
                followed.api.end(plural)
        move(followed.api)
        await moved(followed)
        assert followed.pauses == []

    play(tmp_path, test, filled)


@pytest.mark.parametrize("cut", [False, True])
def test_f5_a_list_that_breaks_off_or_is_gone_before_its_last_page_is_listed_as_a_stream(
    tmp_path: Path, cut: bool
) -> None:
    part = Answer(200, {"metadata": {"resourceVersion": "7", "continue": "2"}, "items": []}, cut=cut)

    def forgetful(api: FakeApiServer) -> None:
        filled(api)
        for plural in PLURALS:
            api.scripts[plural] += [part] if cut else [part, GONE]

    async def test(followed: Followed) -> None:
        await watching(followed)
        assert (followed.ask(DB), followed.ask(OLD)) == (FIRST, SECOND)
        lists = [request.params.get("continue") for request in followed.api.requests if not request.is_watch]
        assert sorted(map(str, lists)) == sorted(["None", *([] if cut else ["2"])] * len(PLURALS))
        assert all("sendInitialEvents" in request.params for request in followed.api.requests if request.is_watch)
        if not cut:
            assert followed.pauses == []

    play(tmp_path, test, forgetful)


def test_f6_a_bookmark_moves_the_version_and_nothing_else(tmp_path: Path) -> None:
    async def test(followed: Followed) -> None:
        await watching(followed)
        followed.api.version = 5000
        for plural in PLURALS:
            followed.api.bookmark(plural)
        followed.api.compact()
        followed.api.put(endpoint_slice("db", "10.0.0.3"))
        await followed.becomes(DB, THIRD)
        followed.clock += HEALTHY
        followed.api.end("services")
        await followed.api.watched("services")
        assert followed.states[Kind.SERVICE][0].lists == {"start": 1}

    play(tmp_path, test, filled)


def test_f7_a_server_that_lags_takes_nobody_back(tmp_path: Path) -> None:
    """An event older than what is known is not taken, and lists ask for what is true now, never for a version."""

    async def test(followed: Followed) -> None:
        await watching(followed)
        followed.api.put(endpoint_slice("db", "10.0.0.3"))
        await followed.becomes(DB, THIRD)
        stale = endpoint_slice("db", "10.0.0.1")
        stale["metadata"]["resourceVersion"] = "50"
        followed.api.send("endpointslices", json.dumps({"type": "MODIFIED", "object": stale}).encode() + b"\n")
        while followed.states[Kind.ENDPOINT_SLICE][0].lists["backwards"] < 1:
            assert followed.ask(DB) == THIRD
            await asyncio.sleep(0)
        assert followed.ask(DB) == THIRD
        for request in followed.api.requests:
            if request.params.get("sendInitialEvents") or not request.is_watch:
                assert "resourceVersion" not in request.params

    play(tmp_path, test, filled)


def test_f8_a_half_open_watch_is_given_up(tmp_path: Path) -> None:
    async def test(followed: Followed) -> None:
        await watching(followed)
        before = len(followed.api.requests)
        jump(91.0)
        await followed.api.requested(before + 2)
        followed.api.put(endpoint_slice("db", "10.0.0.3"))
        await followed.becomes(DB, THIRD)

    play(tmp_path, test, filled)


def test_f9_a_token_that_is_refused_is_read_again_at_once(tmp_path: Path) -> None:
    """What the reflector does is in test_reflector_faults.py; nobody hears of it."""

    async def test(followed: Followed) -> None:
        await watching(followed)
        followed.clock += HEALTHY
        for plural in PLURALS:
            followed.api.scripts[plural].append(Answer(401, status_body(401, "Unauthorized")))
            followed.api.end(plural)
        move(followed.api)
        await moved(followed)
        assert followed.pauses == []

    play(tmp_path, test, filled)


@pytest.mark.parametrize(
    ("answer", "waits"),
    [
        (DENIED, 0.5),
        (Answer(429, status_body(429, "TooManyRequests"), {"Retry-After": "7"}), 7.0),
        (Answer(500, b""), 1.0),
        (Answer(503, b"<html>"), 1.0),
        (Answer(504, status_body(504, "Timeout", "Too large resource version: 9, current: 7")), 1.0),
    ],
)
def test_f11_refusals_keep_what_is_known(tmp_path: Path, answer: Answer, waits: float) -> None:
    async def test(followed: Followed) -> None:
        await watching(followed)
        followed.clock += HEALTHY
        for plural in PLURALS:
            followed.api.scripts[plural].append(answer)
            followed.api.end(plural)
        move(followed.api)
        await moved(followed)
        assert followed.pauses == [waits, waits]

    play(tmp_path, test, filled)


def test_f11_a_denial_that_lasts_says_what_is_missing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def test(followed: Followed) -> None:
        await followed.api.requested(60)
        assert followed.ask(DB) == "SERVFAIL"
        followed.api.scripts.clear()
        await followed.becomes(DB, FIRST)
        assert max(followed.pauses) > 60

    def denied(api: FakeApiServer) -> None:
        filled(api)
        api.scripts["endpointslices"].extend([DENIED] * 1000)

    with caplog.at_level(logging.WARNING):
        play(tmp_path, test, denied)
    (record,) = caplog.records
    assert "it takes the right to list and watch (deploy/rbac.yaml)" in record.getMessage()


def test_f13_events_that_are_repeated_or_of_what_never_was(tmp_path: Path) -> None:
    async def test(followed: Followed) -> None:
        await watching(followed)
        slices = [endpoint_slice("db", "10.0.0.3"), endpoint_slice("ghost", "10.0.0.9")]
        for obj in slices:
            obj["metadata"]["resourceVersion"] = "200"
        changed, ghost = (json.dumps(obj) for obj in slices)
        for kind, obj in (("MODIFIED", changed), ("ADDED", changed), ("DELETED", ghost), ("DELETED", ghost)):
            followed.api.send("endpointslices", f'{{"type":"{kind}","object":{obj}}}\n'.encode() * 2)
        followed.api.version = 300
        followed.api.put(endpoint_slice("old", "10.0.0.7"))
        await followed.becomes(OLD, {"10.0.0.7"})
        assert followed.ask(DB) == THIRD
        assert followed.ask("9.0.0.10.in-addr.arpa.", RRType.PTR) == "NXDOMAIN"
        assert followed.pauses == []

    play(tmp_path, test, filled)


def test_f14_an_endpoint_in_two_slices_is_one(tmp_path: Path) -> None:
    async def test(followed: Followed) -> None:
        await watching(followed)
        followed.api.put(endpoint_slice("db", "10.0.0.1", "10.0.0.3", name="db-2"))
        await followed.becomes(DB, FIRST | THIRD)
        followed.api.delete(endpoint_slice("db"))
        followed.api.put(endpoint_slice("old", "10.0.0.8"))
        await followed.becomes(OLD, {"10.0.0.8"})
        assert followed.ask(DB) == FIRST | THIRD

    play(tmp_path, test, filled)


def test_f15_a_poison_object_harms_only_itself(tmp_path: Path) -> None:
    def poisoned(api: FakeApiServer) -> None:
        filled(api)
        api.put(service("odd", ports=[{"port": "http"}]))
        api.put(service("long", type="ExternalName", externalName="x" * 300))
        api.put(service("address", type="ExternalName", externalName="10.0.0.1"))
        api.put(service("big", padding="x" * (5 << 20)))

    async def test(followed: Followed) -> None:
        await watching(followed)
        assert followed.ask(DB) == FIRST
        for name in ("odd", "long", "address"):
            assert followed.ask(f"{name}.n.svc") == "NXDOMAIN"
        assert followed.states[Kind.SERVICE][0].skipped == 1
        followed.api.put(service("odd"))
        followed.api.put(endpoint_slice("odd", "10.0.0.5"))
        await followed.becomes("odd.n.svc", {"10.0.0.5"})

    play(tmp_path, test, poisoned)


def test_f23_without_descriptors_what_is_known_stays_and_is_followed_when_there_are_some(tmp_path: Path) -> None:
    async def test(followed: Followed) -> None:
        await watching(followed)
        await followed.api.__aexit__()
        with no_descriptors() as take_all:
            while len(followed.pauses) < 20:
                take_all()  # those of the cut connections become free
                assert followed.ask(DB) == FIRST
                await asyncio.sleep(0)
        await followed.api.__aenter__()
        move(followed.api)
        await moved(followed)

    play(tmp_path, test, filled)


@contextlib.contextmanager
def no_descriptors() -> Iterator[Callable[[], None]]:
    """What takes all that this process may still have, until the block ends."""
    _, most = before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, most))
    taken = [os.open(os.devnull, os.O_RDONLY)]

    def take_all() -> None:
        with contextlib.suppress(OSError):  # there are none left
            while True:
                taken.append(os.dup(taken[0]))

    try:
        yield take_all
    finally:
        for descriptor in taken:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
