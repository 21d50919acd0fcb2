"""Which twin runs, and what happens when it can't."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hsdnsd.native import contract
from tests.support.sockets import udp
from tests.support.twins import Twin

ROOT = Path(__file__).resolve().parents[2]


def run(script: str, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if name != "HSDNSD_PURE"}
    return subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env=inherited | environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


CHOICE = "import hsdnsd.native as n; print(n.which(), n.Batch.__module__, n.Table.__module__)"


def test_the_compiled_twin_is_taken() -> None:
    assert run(CHOICE).stdout == "cython hsdnsd.native._batch hsdnsd.native._table\n"


def test_the_pure_twin_is_taken_only_when_asked_for() -> None:
    assert run(CHOICE, HSDNSD_PURE="1").stdout == "python hsdnsd.native._batch_py hsdnsd.native._table_py\n"
    assert run(CHOICE, HSDNSD_PURE="0").stdout == "cython hsdnsd.native._batch hsdnsd.native._table\n"


@pytest.mark.parametrize("missing", ["_batch", "_table", "_gate"])
def test_without_the_compiled_twin_nothing_starts(missing: str) -> None:
    outcome = run(f"import sys; sys.modules['hsdnsd.native.{missing}'] = None; import hsdnsd.native")
    assert outcome.returncode == 1
    [last] = outcome.stderr.splitlines()[-1:]
    assert last.startswith("hsdnsd.native.contract.NativeMissingError: the native part is not built")
    assert "make build" in last
    assert "HSDNSD_PURE=1" in last


def test_the_pure_twin_needs_nothing_compiled() -> None:
    script = "import sys\nfor name in ('batch', 'table', 'gate', 'reply', 'serve', 'datagrams'):\n"
    script += "    sys.modules[f'hsdnsd.native._{name}'] = None\n" + CHOICE
    assert run(script, HSDNSD_PURE="1").stdout.startswith("python")


def test_a_batch_keeps_its_socket_and_table(twin: Twin) -> None:
    """Neither may go while it is in use: the batch holds addresses of theirs."""
    with udp() as server:
        table: contract.Table = twin.Table()
        before = sys.getrefcount(table), sys.getrefcount(server)
        batch = twin.Batch(server, table)
        assert (sys.getrefcount(table), sys.getrefcount(server)) > before
        del batch
        assert (sys.getrefcount(table), sys.getrefcount(server)) == before


def test_counters_begin_at_zero(twin: Twin) -> None:
    with udp() as server:
        batch = twin.Batch(server, twin.Table())
        counters = ("received", "sent", "hits", "hits_do", "refused_source", "send_errors", "send_full", "kernel_drops")
        assert [getattr(batch, name) for name in counters] == [0] * len(counters)
        assert batch.hit_types(True) == batch.hit_types(False) == (0,) * (len(contract.COUNTED_TYPES) + 1)
        assert batch.hit_rcodes(True) == batch.hit_rcodes(False) == (0,) * 16
        empty = ((0,) * (len(contract.SIZE_BOUNDS) + 1), 0)
        assert batch.hit_query_sizes(True) == batch.hit_reply_sizes(False) == empty
        assert batch.latency(contract.Outcome.HIT_OWN) == ((0,) * contract.LATENCY_BUCKETS, 0)
