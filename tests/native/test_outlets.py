"""Sockets towards upstreams: one at a time for each question, kept, and from another port each time."""

from __future__ import annotations

import select
import socket
from contextlib import ExitStack

from hsdnsd.native.contract import MAX_IDLE
from hsdnsd.native.flight_contract import Choice, Trouble
from tests.support.lies import Asked, reply, truth
from tests.support.sky import PATIENCE, PLAN, Sky, until
from tests.support.sockets import udp


def test_a_socket_is_used_again_from_another_port(sky: Sky) -> None:
    ports = set()
    for number in range(50):
        sky.ask(f"{number}.example")
        asked, peer = sky.asked()
        ports.add(peer)
        sky.upstream.sendto(truth(asked), peer)  # type: ignore[arg-type]
        sky.client.recv(4096)
        assert sky.flights.sockets == 1
    assert len(ports) == 50


def test_what_comes_late_is_nobody_elses_reply(sky: Sky) -> None:
    for number in range(50):
        sky.ask(f"{number}.example", id=number)
        asked, peer = sky.asked()
        for _ in range(5):
            sky.upstream.sendto(truth(asked), peer)  # type: ignore[arg-type]
        assert sky.client.recv(4096)[:2] == number.to_bytes(2)
        sky.upstream.sendto(truth(asked), peer)  # type: ignore[arg-type]
    assert sky.flights.landed_count == 50
    assert not any(sky.flights.handed_over_count(trouble) for trouble in Trouble)


def test_not_every_socket_is_kept() -> None:
    many = MAX_IDLE + 32
    with ExitStack() as opened:
        sky = Sky(opened, most=many)
        sky.flights.grant(PLAN._replace(in_flight=many, waiters=many, per_client=many))
        for number in range(many):
            sky.ask(f"{number}.example")
        until(lambda: sky.flights.in_flight == sky.flights.sockets == many)
        for _ in range(many):
            sky.say()
        until(lambda: sky.flights.landed_count == many)
        assert (sky.flights.in_flight, sky.flights.sockets) == (0, MAX_IDLE)


def test_a_socket_that_is_handed_over_is_not_used_again(sky: Sky) -> None:
    sky.ask()
    sky.say(lambda asked: reply(asked, rcode=5))
    assert select.select([sky.flights], [], [], PATIENCE)[0]
    assert sky.flights.sockets == 1
    sky.handed_over()
    assert sky.flights.sockets == 0
    sky.ask("b.example")
    sky.say()
    sky.client.recv(4096)
    assert sky.flights.sockets == 1


def test_servers_of_both_families_have_sockets_of_their_own(sky: Sky) -> None:
    with udp("::1") as other:
        other.setblocking(True)
        sky.flights.set_server(1, (socket.inet_pton(socket.AF_INET6, "::1"), other.getsockname()[1], 0))
        sky.flights.grant(PLAN._replace(choice=Choice.IN_TURN, servers=((0, True), (1, True))))
        for number in range(10):
            sky.ask(f"{number}.example")
            upstream = (other, sky.upstream)[number % 2]
            wire, peer = upstream.recvfrom(4096)
            upstream.sendto(truth(Asked(wire, False, 0)), peer)
            sky.client.recv(4096)
        assert sky.flights.sockets == 2
