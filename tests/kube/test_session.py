"""hsdnsd.kube.session and F10: certificates that are replaced while the daemon runs."""

from __future__ import annotations

import asyncio
import shutil
import ssl
from pathlib import Path

import pytest

from hsdnsd.kube.client import Client, TransportError, open_client
from hsdnsd.kube.session import Session
from tests.support.fake_apiserver import FakeApiServer


class Api:
    closed = 0

    async def close(self) -> None:
        self.closed += 1


def test_a_retired_session_is_closed_with_its_last_request() -> None:
    async def body() -> None:
        api = Api()
        session = Session(api, ())
        session.enter()
        session.enter()
        await session.retire()
        await session.leave()
        assert api.closed == 0
        await session.leave()
        assert api.closed == 1

    asyncio.run(body())


def test_an_idle_session_is_closed_when_it_is_retired() -> None:
    async def body() -> None:
        api = Api()
        session = Session(api, ())
        session.enter()
        await session.leave()
        assert api.closed == 0
        await session.retire()
        assert api.closed == 1

    asyncio.run(body())


def test_it_is_outdated_when_a_file_is_replaced_changed_or_gone(tmp_path: Path) -> None:
    first, second = tmp_path / "ca", tmp_path / "other"
    first.write_text("a")
    second.write_text("a")
    link = tmp_path / "link"
    link.symlink_to(first)
    session = Session(Api(), [str(link), str(tmp_path / "missing")])
    assert not session.is_outdated()
    link.unlink()
    assert session.is_outdated()
    link.symlink_to(second)
    assert session.is_outdated()
    link.unlink()
    link.symlink_to(first)
    assert not session.is_outdated()
    first.write_text("longer")
    assert session.is_outdated()


TLS = Path(__file__).parent.parent / "support" / "tls"


def as_server(context: ssl.SSLContext, name: str) -> ssl.SSLContext:
    """From now on whoever connects sees this certificate."""
    context.load_cert_chain(TLS / f"{name}.crt", TLS / f"{name}.key")
    return context


async def status_of(client: Client) -> int:
    async with client.get("/api/v1/services", []) as response:
        await response.read(1000)
        return response.status


@pytest.fixture
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A pod's service account."""
    (tmp_path / "token").write_text("secret")
    shutil.copy(TLS / "loopback.crt", tmp_path / "ca.crt")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    return tmp_path


def replace(path: Path, name: str) -> None:
    """As a kubelet does it: the file is another one at once."""
    fresh = path.with_name("fresh")
    shutil.copy(TLS / name, fresh)
    fresh.replace(path)


def test_f10_a_ca_that_is_replaced_is_believed_without_a_restart(
    account: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def body() -> None:
        context = as_server(ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), "loopback")
        async with asyncio.timeout(20), FakeApiServer(context) as api:
            monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(api.port))
            client = await open_client("", account=account)
            async with client.get("/api/v1/services", [("watch", "true")]) as watch:
                as_server(context, "rotated")
                with pytest.raises(TransportError, match="certificate"):
                    await status_of(client)
                with pytest.raises(TransportError, match="certificate"):
                    await status_of(client)
                replace(account / "ca.crt", "rotated.crt")
                assert await status_of(client) == 200
                # What was connected in good time stays connected.
                await api.watched("services")
                api.bookmark("services")
                lines = await watch.lines()
                assert lines is not None
                assert b"BOOKMARK" in lines[0]
            assert await status_of(client) == 200
            await client.close()

    asyncio.run(body())


def test_f10_a_ca_that_can_not_be_read_is_a_fault_that_passes(account: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def body() -> None:
        context = as_server(ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), "loopback")
        async with asyncio.timeout(20), FakeApiServer(context) as api:
            monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(api.port))
            client = await open_client("", account=account)
            (account / "ca.crt").write_text("half of it")
            with pytest.raises(TransportError):
                await status_of(client)
            (account / "ca.crt").unlink()
            with pytest.raises(TransportError):
                await status_of(client)
            replace(account / "ca.crt", "loopback.crt")
            assert await status_of(client) == 200
            await client.close()

    asyncio.run(body())
