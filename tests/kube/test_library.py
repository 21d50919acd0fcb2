"""What is imported of kubernetes_asyncio and aiohttp, and when."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from hsdnsd.kube.library import without_authorities
from tests.support.fake_apiserver import FakeApiServer

# In a process of its own, since what is imported stays.
IMPORTS = """
import asyncio, sys
{before}
from hsdnsd.kube.client import open_client

async def body():
    opened = await open_client({kubeconfig!r})
    async with opened.get("/api/v1/services", []) as response:
        print(response.status, "kubernetes_asyncio.client.models.v1_service" in sys.modules)
    await opened.close()

assert not [name for name in sys.modules if name.startswith(("kubernetes_asyncio", "aiohttp"))] or {full}
asyncio.run(body())
"""

# The package as if a module that the lean import counts on had been moved.
MOVED = """
class Moved:
    hidden = True
    def find_spec(self, name, path=None, target=None):
        if name == "kubernetes_asyncio.client.configuration" and self.hidden:
            Moved.hidden = False
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Moved())
"""


@pytest.mark.parametrize(
    ("before", "full", "warns"),
    [
        pytest.param("", False, False, id="lean"),
        pytest.param(MOVED, True, True, id="layout moved"),
        pytest.param("import kubernetes_asyncio", True, False, id="imported before"),
    ],
)
def test_the_package_is_imported_lean_and_works_whole_too(tmp_path: Path, before: str, full: bool, warns: bool) -> None:
    async def body() -> tuple[str, str]:
        async with asyncio.timeout(60), FakeApiServer() as api:
            script = IMPORTS.format(before=before, kubeconfig=api.kubeconfig(tmp_path), full=full)
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-c", script, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
            out, err = await process.communicate()
            return out.decode(), err.decode()

    out, err = asyncio.run(body())
    assert out.split() == ["200", str(full)], err
    assert ("laid out anew" in err) is warns


PUT_OFF = """
import sys
from hsdnsd.kube.library import load_library

library = load_library()
modules = "urllib3", "dateutil.parser", "multiprocessing.pool"
print(*[name in sys.modules for name in modules])
print(library.configuration(username="u", password="p").get_basic_auth_token())
import kubernetes_asyncio.client.api_client as lean
print(lean.parse("2026-11-21").day)
with lean.ThreadPool(1) as pool:
    print(pool.apply(len, ("four",)))
print(*[name in sys.modules for name in modules])
"""


def test_what_is_put_off_is_imported_when_it_is_used() -> None:
    result = subprocess.run([sys.executable, "-c", PUT_OFF], check=False, capture_output=True, text=True, timeout=60)
    assert result.stdout.split("\n")[:5] == [
        "False False False",
        "Basic dTpw",
        "21",
        "4",
        "True True True",
    ], result.stderr


def test_the_library_is_loaded_without_reading_the_systems_authorities(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only by who imports it: contexts that others make meanwhile are to vouch for something."""
    read: list[str] = []
    monkeypatch.setattr(
        ssl.SSLContext, "set_default_verify_paths", lambda _: read.append(threading.current_thread().name)
    )
    with without_authorities():
        ssl.create_default_context()
        other = threading.Thread(target=ssl.create_default_context, name="other")
        other.start()
        other.join()
    ssl.create_default_context()
    assert read == ["other", threading.current_thread().name]
