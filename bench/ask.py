"""Single questions to a server: until it is ready, and to see that its answers are right before it is measured."""

from __future__ import annotations

import socket
import time

from bench.errors import BenchError
from bench.process import LOOPBACK, Process
from bench.scenarios import Question, Scenario
from bench.wire import Header, query

START_TIMEOUT = 60.0  # seconds
WAIT = 2.0  # for one reply


def ask(port: int, question: Question, *, edns: bool = False, wait: float = WAIT) -> Header | None:
    """The header of the reply, None if none comes in time."""
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.settimeout(wait)
        sock.connect((LOOPBACK, port))
        try:
            sock.send(query(question, 1, edns=edns))
            return Header.read(sock.recv(65535))
        except (TimeoutError, ConnectionRefusedError):
            return None


def wait_until_ready(server: Process, port: int, scenario: Scenario, timeout: float = START_TIMEOUT) -> float:
    """Ask until the first question is answered right; the seconds that it took.

    Raises:
        BenchError: the server ended, or the time is over.
    """
    start = time.monotonic()
    while time.monotonic() - start < timeout:
        if not server.running:
            raise BenchError(f"ended with {server.popen.returncode}: {server.log.strip()[-1500:]}")
        if _is_right(ask(port, scenario.questions[0], wait=0.2), scenario):
            return time.monotonic() - start
        time.sleep(0.02)
    raise BenchError(f"no right answer within {timeout:g} s: {server.log.strip()[-1500:]}")


def check(port: int, scenario: Scenario, *, edns: bool) -> None:
    """Ask every question of a scenario once; that also brings the answers into a cache.

    Raises:
        BenchError: a reply is missing, truncated or not what the scenario says; a figure for it would mean nothing.
    """
    for question in scenario.questions:
        reply = ask(port, question, edns=edns)
        if not _is_right(reply, scenario):
            wanted = f"rcode {scenario.rcode} with {scenario.answers} answers"
            raise BenchError(f"{question.name} {question.type}: {reply or 'no reply'}; wanted {wanted}")


def _is_right(reply: Header | None, scenario: Scenario) -> bool:
    if reply is None or reply.truncated:
        return False
    return reply.rcode == scenario.rcode and reply.answers == scenario.answers
