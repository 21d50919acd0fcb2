"""A process that forges an upstream's replies: it knows the upstream's address, and from which port who asks.

    python -m tests.scenarios.forging FD wrong|guess < TARGETS

FD is the upstream's own UDP socket, so that what is sent there comes from the right address and port. TARGETS are what
the upstream was asked: port and length in two octets each, and the query. The latest few are shot at, as fast as it
goes, until the input ends; then the number of forged replies is told.

`wrong`: with every id but the right one, and with the right id and another question. `guess`: with ids drawn at random,
the right one among them.
"""

from __future__ import annotations

import os
import random
import select
import socket
import sys
from collections import deque

from tests.support.liar import Asked, false
from tests.support.packets import name

# Targets shot at in turn, and shots at each before the next look at what is new.
TARGETS, SHOTS = 8, 32


class Target:
    """Somebody who waits for a reply."""

    def __init__(self, port: int, wire: bytes, guess: bool) -> None:
        asked = Asked(wire, False, 0)
        self.port = port
        self.id = asked.id
        self.guess = guess
        self.body = false(asked)[2:]
        self.other = false(asked, question=name("a." * 8) + asked.question[-4:])
        self.next = random.randrange(65536)

    def forged(self, number: int) -> bytes:
        if self.guess:
            return random.randrange(65536).to_bytes(2) + self.body
        if number == 0:
            return self.other
        self.next = (self.next + 1) % 65536
        if self.next == self.id:
            self.next = (self.next + 1) % 65536
        return self.next.to_bytes(2) + self.body


def main(descriptor: int, guess: bool) -> None:
    targets: deque[Target] = deque(maxlen=TARGETS)
    received = bytearray()
    sent = 0
    with socket.socket(fileno=descriptor) as sock:
        while True:
            if select.select([0], [], [], 0 if targets else None)[0]:
                data = os.read(0, 65536)
                if not data:
                    break
                received += data
                while len(received) >= 4 and len(received) >= (end := 4 + int.from_bytes(received[2:4])):
                    targets.append(Target(int.from_bytes(received[:2]), bytes(received[4:end]), guess))
                    del received[:end]
            for target in targets:
                where = "127.0.0.1", target.port
                for number in range(SHOTS):
                    try:
                        sock.sendto(target.forged(number), where)
                    except OSError:
                        continue  # its buffer is full
                    sent += 1
    print(sent)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2] == "guess")
