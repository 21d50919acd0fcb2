"""The twin of `_flights.pyx`: there is none. Without worker threads nobody asks but the engine."""

from __future__ import annotations

from hsdnsd.native.contract import NativeMissingError


class Flights:
    """Stands where `hsdnsd.native.flight_contract.Flights` is asked for, and can't be made."""

    def __init__(self, *_: object) -> None:
        """
        Raises:
            NativeMissingError: always.
        """
        raise NativeMissingError("flights need the compiled packet path: build it, or set no workers")
