"""Questions without a pause while a test changes the cluster, and what was answered to them."""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Self

from dns.exception import DNSException

from tests.cluster.daemon import Daemon


class Asking:
    """A context manager that asks the same questions over and over, in turn, from a thread of its own.

    Once entered, every question has been answered. Leaving it raises whatever went wrong: a question that was not
    answered, an answer that is none.

    Args:
        questions: (name, type).
        tcp: where an answer is larger than a datagram.
        pause: seconds between two questions. By default hundreds a second, which leaves the machine to the control
            plane; where an answer has a thousand records, reading it is the work.
    """

    def __init__(self, daemon: Daemon, *questions: tuple[str, str], tcp: bool = False, pause: float = 0.002) -> None:
        self._daemon = daemon
        self._pause = pause
        self._questions = questions
        self._tcp = tcp
        self._history: dict[tuple[str, str], list[frozenset[str]]] = {question: [] for question in questions}
        self._rounds = 0
        self._end = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="asking", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self.settle()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.settle()
        self._end.set()
        self._thread.join()
        if self._failure is not None:
            raise AssertionError(f"asked in vain after {self._rounds} rounds") from self._failure

    def settle(self) -> None:
        """Return when every question has been asked once more, and answered."""
        rounds = self._rounds + 2  # the present round may have passed a question already
        while self._rounds < rounds and self._thread.is_alive():
            time.sleep(self._pause)

    def history(self, name: str, rdtype: str) -> list[frozenset[str]]:
        """The answers to this question in the order of time, each as often as it came anew after another one."""
        return list(self._history[name, rdtype])

    def ever(self, name: str, rdtype: str) -> frozenset[str]:
        """Every rdata, and every rcode that is not NOERROR, that was ever answered to this question."""
        return frozenset().union(*self._history[name, rdtype])

    @property
    def rounds(self) -> int:
        """How often every question was answered."""
        return self._rounds

    def _run(self) -> None:
        try:
            while not self._end.is_set():
                for (name, rdtype), history in self._history.items():
                    now = self._daemon.answers(name, rdtype, tcp=self._tcp)
                    if not history or history[-1] != now:
                        history.append(now)
                    time.sleep(self._pause)
                self._rounds += 1
        except (OSError, DNSException) as error:  # told by __exit__, in the test's own thread
            self._failure = error
