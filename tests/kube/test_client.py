"""hsdnsd.kube.client: credentials, TLS and transport, over real HTTP on loopback."""

from __future__ import annotations

import asyncio
import json
import os
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from hsdnsd.errors import StartError
from hsdnsd.kube import client
from hsdnsd.kube.client import MAX_RETRY_AFTER, READ_TIMEOUT, Client, Response, TransportError, open_client
from hsdnsd.kube.lines import LineTooLongError
from tests.support.fake_apiserver import Answer, FakeApiServer, status_body
from tests.support.loop_clock import jump

TLS = Path(__file__).parent.parent / "support" / "tls"
SERVICES = "/api/v1/services"


def run(folder: Path, test: Callable[[FakeApiServer, Client], Awaitable[None]], **user: str) -> None:
    async def body() -> None:
        async with asyncio.timeout(20), FakeApiServer() as api:
            opened = await open_client(api.kubeconfig(folder, **user))
            try:
                await test(api, opened)
            finally:
                await opened.close()

    asyncio.run(body())


async def status_of(opened: Client) -> int:
    async with opened.get(SERVICES, []) as response:
        return response.status


def test_a_request_as_a_kubeconfig_says(tmp_path: Path) -> None:
    async def test(api: FakeApiServer, opened: Client) -> None:
        async with opened.get(SERVICES, [("limit", "500"), ("labelSelector", "a in (b,c)")]) as response:
            assert response.status == 200
            assert response.retry_after == 0.0
            assert json.loads(await response.read(10_000))["kind"] == "ServiceList"
        (request,) = api.requests
        assert request.plural == "services"
        assert request.params == {"limit": "500", "labelSelector": "a in (b,c)"}
        assert request.headers["authorization"] == "Bearer secret"
        assert request.headers["accept"] == "application/json"
        assert request.headers["user-agent"].startswith("hsdnsd/")

    run(tmp_path, test, token="secret")


def test_the_line_end_of_a_token_file_is_no_part_of_the_token(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("secret\n")

    async def test(api: FakeApiServer, opened: Client) -> None:
        await status_of(opened)
        assert api.requests[0].headers["authorization"] == "Bearer secret"

    run(tmp_path, test, tokenFile="token")


def test_credentials_are_read_again_once_for_all_that_were_refused(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("old")

    async def test(api: FakeApiServer, opened: Client) -> None:
        api.token = "new"
        token.write_text("new")
        seen = opened.renewals
        assert await status_of(opened) == 401
        await opened.renew_credentials(seen)
        assert await status_of(opened) == 200
        token.unlink()
        await opened.renew_credentials(seen)
        assert await status_of(opened) == 200
        with pytest.raises(TransportError, match=r"kubeconfig .*: .*token: No such file"):
            await opened.renew_credentials(opened.renewals)
        assert await status_of(opened) == 200

    run(tmp_path, test, tokenFile="token")


def test_lines_of_a_watch(tmp_path: Path) -> None:
    async def test(api: FakeApiServer, opened: Client) -> None:
        async with opened.get(SERVICES, [("watch", "true"), ("resourceVersion", "100")]) as response:
            await api.watched("services")
            found: list[bytes] = []

            async def read(count: int) -> list[bytes]:
                while len(found) < count:
                    found.extend(await response.lines() or ())
                taken = found[:count]
                del found[:count]
                return taken

            api.send("services", b"one\ntw")
            assert await read(1) == [b"one"]
            api.send("services", b"o\nthree\n{}")
            assert await read(2) == [b"two", b"three"]
            api.end("services")
            assert await read(1) == [b"{}"]
            assert await response.lines() is None

    run(tmp_path, test)


async def read_all_lines(response: Response) -> None:
    while await response.lines() is not None:
        pass


@pytest.mark.parametrize("last", [b'{"type":"ADDED"', b"one\n{"])
def test_an_end_within_a_line_is_a_fault(tmp_path: Path, last: bytes) -> None:
    async def test(api: FakeApiServer, opened: Client) -> None:
        api.scripts["services"].append(Answer(200, last))
        async with opened.get(SERVICES, []) as response:
            with pytest.raises(TransportError, match="within a line"):
                await read_all_lines(response)

    run(tmp_path, test)


def test_a_line_without_end_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "LINE_OCTETS", 100)

    async def test(api: FakeApiServer, opened: Client) -> None:
        api.scripts["services"].append(Answer(200, b"x" * 101))
        async with opened.get(SERVICES, []) as response:
            with pytest.raises(LineTooLongError):
                await response.lines()

    run(tmp_path, test)


def test_an_answer_that_is_cut_short_is_a_fault(tmp_path: Path) -> None:
    async def test(api: FakeApiServer, opened: Client) -> None:
        api.scripts["services"].append(Answer(200, b'{"items":[', cut=True))
        async with opened.get(SERVICES, []) as response:
            with pytest.raises(TransportError):
                await response.read(10_000)

    run(tmp_path, test)


@pytest.mark.parametrize("waits", [False, True])
def test_what_comes_and_is_no_http_is_a_fault(tmp_path: Path, waits: bool) -> None:
    """Whether it comes while more is waited for, which aiohttp does not tell, or before."""

    async def test(api: FakeApiServer, opened: Client) -> None:
        api.put({"kind": "Service", "metadata": {"name": "a", "namespace": "n"}})
        hasty = await open_client(api.kubeconfig(tmp_path), read_timeout=5)
        try:
            async with hasty.get(SERVICES, [("watch", "true"), ("resourceVersion", "1")]) as response:
                await response.piece()
                reading = asyncio.create_task(response.piece()) if waits else None
                await asyncio.sleep(0)
                api.babble("services")
                for _ in range(100):
                    await asyncio.sleep(0)
                jump(6)
                said = "nothing was heard for 5 s" if waits else "was closed|was cut"
                with pytest.raises(TransportError, match=said):
                    await (reading or response.piece())
        finally:
            await hasty.close()

    run(tmp_path, test)


def test_an_answer_over_the_limit_is_a_fault(tmp_path: Path) -> None:
    async def test(api: FakeApiServer, opened: Client) -> None:
        for _ in range(2):
            api.scripts["services"].append(Answer(200, b"x" * 100))
        async with opened.get(SERVICES, []) as response:
            assert len(await response.read(100)) == 100
        async with opened.get(SERVICES, []) as response:
            with pytest.raises(TransportError, match="more than 99 octets"):
                await response.read(99)

    run(tmp_path, test)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Answer(403, status_body(403, "Forbidden", "services is\nforbidden")), "403 services is forbidden"),
        (Answer(502, b"<html>\r\n"), "502 Scripted"),
        (Answer(503, b""), "503 Scripted"),
        (Answer(500, {"kind": "Status", "message": None}), "500"),
        (Answer(500, b"x" * 100_000), "500 Scripted"),
        (Answer(500, b"{", cut=True), "500 Scripted"),
    ],
)
def test_what_an_error_answer_says(tmp_path: Path, answer: Answer, said: str) -> None:
    async def test(api: FakeApiServer, opened: Client) -> None:
        api.scripts["services"].append(answer)
        async with opened.get(SERVICES, []) as response:
            assert response.status == answer.status
            assert await response.problem() == said

    run(tmp_path, test)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("1", 1.0),
        ("0", 0.0),
        ("99999", MAX_RETRY_AFTER),
        ("-1", 0.0),
        ("soon", 0.0),
        ("Sat, 21 Nov 2026 11:00:00 GMT", 0.0),
    ],
)
def test_retry_after(tmp_path: Path, header: str, seconds: float) -> None:
    async def test(api: FakeApiServer, opened: Client) -> None:
        api.scripts["services"].append(Answer(429, status_body(429, "TooManyRequests"), {"Retry-After": header}))
        async with opened.get(SERVICES, []) as response:
            assert response.retry_after == seconds

    run(tmp_path, test)


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    async def body() -> None:
        async with FakeApiServer() as api:
            kubeconfig = api.kubeconfig(tmp_path)
        opened = await open_client(kubeconfig)
        with pytest.raises(TransportError, match="Cannot connect to host 127"):
            await status_of(opened)
        await opened.close()

    asyncio.run(body())


def test_silence_is_a_fault(tmp_path: Path) -> None:
    """Half-open connections: a load balancer that forgot them answers nothing and says nothing."""

    async def body() -> None:
        async with FakeApiServer() as api:
            opened = await open_client(api.kubeconfig(tmp_path))
            async with opened.get(SERVICES, [("watch", "true"), ("resourceVersion", "100")]) as response:
                assert response.status == 200
                jump(READ_TIMEOUT + 1)
                with pytest.raises(TransportError, match="nothing was heard for 90 s"):
                    await response.lines()
            api.silent = True
            unanswered = asyncio.create_task(status_of(opened))
            await api.requested(2)
            jump(READ_TIMEOUT + 1)
            with pytest.raises(TransportError, match="timed out"):
                await unanswered
            await opened.close()

    asyncio.run(body())


def start_error(kubeconfig: str) -> str:
    with pytest.raises(StartError) as caught:
        asyncio.run(open_client(kubeconfig))
    assert str(caught.value).isprintable()
    return str(caught.value)


def test_a_kubeconfig_that_is_not_there(tmp_path: Path) -> None:
    path = str(tmp_path / "missing")
    assert start_error(path) == f"kubeconfig {path}: No such file or directory"


CLUSTER = 'clusters: [{name: c, cluster: {server: "https://127.0.0.1:1"%s}}]\n'
CONTEXT = "current-context: c\ncontexts: [{name: c, context: {cluster: c, user: u}}]\n"
USER = "users: [{name: u, user: {%s}}]\n"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "not of the right shape"),
        ("a: [", "while parsing"),
        ("[]", "not of the right shape"),
        ("{}", "current-context"),
        (CONTEXT, "with name c in"),
        (CONTEXT.replace("current-context: c", "current-context: d"), "with name d in"),
        (CONTEXT + CLUSTER % "" + USER % "tokenFile: nowhere", "nowhere: No such file"),
        (CONTEXT + CLUSTER % ", certificate-authority: nowhere" + USER % "token: x", "nowhere"),
        (CONTEXT + CLUSTER % ", certificate-authority-data: '!'" + USER % "token: x", ""),
        (
            CONTEXT + CLUSTER % "" + USER % "exec: {command: /nowhere, apiVersion: client.authentication.k8s.io/v1}",
            "nowhere",
        ),
    ],
)
def test_a_kubeconfig_that_can_not_be_used(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(text)
    said = start_error(str(path))
    assert said.startswith(f"kubeconfig {path}: ")
    assert problem in said


def service_account(folder: Path, token: str = "secret\n") -> Path:
    (folder / "token").write_text(token)
    (folder / "ca.crt").write_bytes((TLS / "loopback.crt").read_bytes())
    return folder


def test_in_the_cluster_with_tls_and_a_rotated_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    account = service_account(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(TLS / "loopback.crt", TLS / "loopback.key")

    async def body() -> None:
        async with asyncio.timeout(20), FakeApiServer(context) as api:
            monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
            monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(api.port))
            api.token = "secret"
            opened = await open_client("", account=account)
            assert await status_of(opened) == 200
            api.token = "rotated"
            (account / "token").write_text("rotated\n")
            assert await status_of(opened) == 401, "a token is read again once a minute at most, unless it is refused"
            await opened.renew_credentials(opened.renewals)
            assert await status_of(opened) == 200
            await opened.close()

    asyncio.run(body())


def test_a_server_that_is_not_the_cluster_s_is_not_talked_to(tmp_path: Path) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(TLS / "loopback.crt", TLS / "loopback.key")

    async def body() -> None:
        async with asyncio.timeout(20), FakeApiServer(context) as api:
            opened = await open_client(api.kubeconfig(tmp_path, token="secret"))
            with pytest.raises(TransportError, match="certificate"):
                await status_of(opened)
            assert api.requests == []
            await opened.close()

    asyncio.run(body())


@pytest.mark.parametrize("missing", ["token", "ca.crt", "KUBERNETES_SERVICE_HOST"])
def test_in_no_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    account = service_account(tmp_path)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "1")
    if missing.isupper():
        monkeypatch.delenv(missing)
    else:
        (account / missing).unlink()
    with pytest.raises(StartError, match="in-cluster configuration: Service"):
        asyncio.run(open_client("", account=account))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, {"NO_PROXY": "10.96.0.1"}),
        ({"NO_PROXY": "a,10.0.0.0/8"}, {"NO_PROXY": "a,10.0.0.0/8,10.96.0.1"}),
        ({"no_proxy": "a"}, {"no_proxy": "a,10.96.0.1", "NO_PROXY": "10.96.0.1"}),
        ({"NO_PROXY": "10.96.0.1"}, {"NO_PROXY": "10.96.0.1"}),
    ],
)
def test_the_cluster_s_own_api_server_is_never_asked_through_a_proxy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: dict[str, str], after: dict[str, str]
) -> None:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    for name, value in {**before, "KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": "1"}.items():
        monkeypatch.setenv(name, value)

    async def body() -> None:
        opened = await open_client("", account=service_account(tmp_path))
        await opened.close()

    asyncio.run(body())
    assert {name: os.environ[name] for name in ("NO_PROXY", "no_proxy") if name in os.environ} == after
