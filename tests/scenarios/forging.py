"""A process that forges an upstream's replies: it knows the upstream's address, and from which port who asks.

    python -m tests.scenarios.forging FD wrong|guess RATE < TARGETS

FD is the upstream's own UDP socket, so that what is sent there comes from the right address and port. TARGETS are what
the upstream was asked: port and length in two octets each, and the query. The latest few are shot at, RATE times a
second if the machine can, until the input ends; then the number of forged replies is told, and the seconds it took.

`wrong`: with every id but the right one, and with the right id and another question. `guess`: with ids drawn at random,
the right one among them.
"""

from __future__ import annotations

import ctypes
import os
import random
import select
import socket
import sys
import time
from collections import deque

from tests.support.lies import Asked, false
from tests.support.packets import name

# Targets shot at in turn, and shots at each before the next look at what is new.
TARGETS, SHOTS = 8, 32


class _Iovec(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("size", ctypes.c_size_t))


class _Header(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_size", ctypes.c_uint32),
        ("iovec", ctypes.POINTER(_Iovec)),
        ("iovec_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_size", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class _Message(ctypes.Structure):
    """Of sendmmsg(2): one system call for each shot is too slow."""

    _fields_ = (("header", _Header), ("sent", ctypes.c_uint))


_LIBC = ctypes.CDLL(None)


class Target:
    """Somebody who waits for a reply."""

    def __init__(self, port: int, wire: bytes, guess: bool) -> None:
        asked = Asked(wire, False, 0)
        self._id = asked.id
        self._guess = guess
        self._next = random.randrange(65536)
        forged = [ctypes.create_string_buffer(false(asked)) for _ in range(SHOTS)]
        if not guess:
            # With the right id, and to another question.
            forged[0] = ctypes.create_string_buffer(false(asked, question=name("a." * 8) + asked.question[-4:]))
        self._ids = [memoryview(octets).cast("B")[:2] for octets in (forged if guess else forged[1:])]
        address = socket.AF_INET.to_bytes(2, sys.byteorder) + port.to_bytes(2) + bytes((127, 0, 0, 1)) + bytes(8)
        where = ctypes.create_string_buffer(address, len(address))
        self._messages = (_Message * SHOTS)()
        # One octet less: a string buffer ends in a zero of its own.
        vectors = [_Iovec(ctypes.addressof(octets), len(octets) - 1) for octets in forged]
        for message, vector in zip(self._messages, vectors, strict=True):
            message.header = _Header(ctypes.addressof(where), len(address), ctypes.pointer(vector), 1)
        self._held = forged, where, vectors

    def shoot(self, descriptor: int) -> int:
        """Send as many forged replies as there is room for; how many that were."""
        for at in self._ids:
            self._next = random.randrange(65536) if self._guess else (self._next + 1) % 65536
            if self._next == self._id and not self._guess:
                self._next = (self._next + 1) % 65536
            at[0], at[1] = divmod(self._next, 256)
        return max(0, int(_LIBC.sendmmsg(descriptor, self._messages, SHOTS, 0)))


def main(descriptor: int, guess: bool, rate: float) -> None:
    targets: deque[Target] = deque(maxlen=TARGETS)
    received = bytearray()
    sent = 0
    begun = time.monotonic()
    while True:
        early = sent / rate - (time.monotonic() - begun)
        if select.select([0], [], [], max(early, 0) if targets else None)[0]:
            data = os.read(0, 65536)
            if not data:
                break
            received += data
            while len(received) >= 4 and len(received) >= (end := 4 + int.from_bytes(received[2:4])):
                targets.append(Target(int.from_bytes(received[:2]), bytes(received[4:end]), guess))
                del received[:end]
        elif early > 0:
            continue
        for target in targets:
            sent += target.shoot(descriptor)
    print(sent, time.monotonic() - begun)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2] == "guess", float(sys.argv[3]))
