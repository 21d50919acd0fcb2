"""Batches of datagrams and the table of finished answers: the Cython part, and its pure twin with the same contract."""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING

from hsdnsd.native import contract, flight_contract
from hsdnsd.native.contract import NativeMissingError
from hsdnsd.native.peer import source_of

if TYPE_CHECKING:
    from hsdnsd.native._batch_py import Batch
    from hsdnsd.native._names_py import NameSet
    from hsdnsd.native._table_py import Table
    from hsdnsd.native._worker_py import be_prompt

    Flights: type[flight_contract.Flights]
    Worker: type[contract.Worker]

__all__ = ["Batch", "Flights", "NameSet", "NativeMissingError", "Table", "Worker", "be_prompt", "source_of", "which"]

_PURE = os.environ.get("HSDNSD_PURE") == "1"


def which() -> str:
    """Which twin runs: "cython" or "python"."""
    return "python" if _PURE else "cython"


def _load(module: str) -> object:
    try:
        return importlib.import_module(f"hsdnsd.native._{module}" + ("_py" if _PURE else ""))
    except ImportError as error:
        raise NativeMissingError(
            f"the native part is not built for this Python ({error}): build it (`make build`, or `pip install -e .`), "
            "or set HSDNSD_PURE=1 to run on the slow twin in pure Python"
        ) from None


if not TYPE_CHECKING:
    Batch = _load("batch").Batch
    Flights = _load("flights").Flights
    NameSet = _load("names").NameSet
    Table = _load("table").Table
    Worker = _load("worker").Worker
    be_prompt = _load("worker").be_prompt
