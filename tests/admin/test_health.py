from __future__ import annotations

from hsdnsd.admin.health import Readiness, health_routes
from hsdnsd.admin.route import Response
from hsdnsd.kube.source import WatchState


def never() -> list[str]:
    return []


def metrics(_: object) -> Response:
    return Response(200, "text/plain", b"metrics")


def test_well() -> None:
    routes = health_routes(never, never, metrics)
    for path in ("/livez", "/readyz"):
        assert routes[path]({}) == Response(200, "text/plain; charset=utf-8", b"ok\n")
    assert routes["/metrics"]({}).body == b"metrics"


def test_the_index_names_every_path() -> None:
    routes = health_routes(never, never, metrics)
    index = routes["/"]({}).body.decode()
    assert set(index.splitlines()) == {"hsdnsd", "", "/livez", "/readyz", "/metrics"}


def test_each_problem_is_one_line() -> None:
    problems = ["no answer for 30 s", "watch: ended"]
    routes = health_routes(lambda: problems, never, metrics)
    assert routes["/livez"]({}) == Response(503, "text/plain; charset=utf-8", b"no answer for 30 s\nwatch: ended\n")
    assert routes["/readyz"]({}).status == 200
    problems.clear()
    assert routes["/livez"]({}).status == 200


def test_ready_once_everything_is_listed_and_bound_and_until_the_end() -> None:
    services, slices = WatchState("Service"), WatchState("EndpointSlice")
    readiness = Readiness(lambda: (services, slices))
    assert readiness.problems() == ["not listening yet", "Service: not listed yet", "EndpointSlice: not listed yet"]
    readiness.listening = True
    services.synced = True
    assert readiness.problems() == ["EndpointSlice: not listed yet"]
    slices.synced = True
    assert readiness.problems() == []
    slices.connected = False
    assert readiness.problems() == []
    readiness.stopping = True
    assert readiness.problems() == ["stopping"]


def test_without_a_source_listening_is_enough() -> None:
    readiness = Readiness(tuple)
    readiness.listening = True
    assert readiness.problems() == []
