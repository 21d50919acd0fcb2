"""Python's collector of cycles: it rests while much is made that will be held for long."""

from __future__ import annotations

import asyncio
import gc


class Collector:
    """To walk what a first list makes would take a twentieth of the list's time, and find nothing."""

    def __init__(self) -> None:
        self._timer: asyncio.TimerHandle | None = None

    def rest(self, at_most: float) -> None:
        """Collect nothing until `settle`, and for so many seconds at most."""
        gc.disable()
        self._timer = asyncio.get_running_loop().call_later(at_most, self.settle)

    def settle(self) -> None:
        """What is held now is held for long: it is never walked again (nor once more now, which would stop the event
        loop). What is made from now on, is."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        gc.freeze()
        gc.enable()
