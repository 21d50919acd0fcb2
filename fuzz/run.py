"""Throw damaged packets at a target until the time is over: fuzz/run.py --seconds N --seed S TARGET.

The packets depend on the seed alone, so a run can be repeated. A target is a module of this folder with a function
`check`; it returns what came of an input, and inputs that bring something new are damaged further.
"""

from __future__ import annotations

import argparse
import importlib
import random
import sys
import time
import traceback
from collections.abc import Hashable
from pathlib import Path

HERE = Path(__file__).resolve().parent
MAX_SIZE = 65535
# Octets that mean something at many places: ends, limits of labels, pointers, types, classes.
NOTABLE = (0, 1, 2, 4, 5, 6, 12, 15, 16, 28, 33, 35, 41, 63, 64, 127, 128, 191, 192, 250, 252, 255)


def read_seeds(path: Path) -> list[bytes]:
    """One packet a line, in hexadecimal; lines with # say what follows."""
    return [bytes.fromhex(line) for line in path.read_text().splitlines() if line and not line.startswith("#")]


def damage(wire: bytes, pool: list[bytes], dice: random.Random) -> bytes:
    """The packet with one to eight things changed in it."""
    octets = bytearray(wire)
    for _ in range(1 << dice.randrange(4)):
        at = dice.randrange(len(octets) + 1)
        match dice.randrange(9):
            case 0 if at < len(octets):
                octets[at] ^= 1 << dice.randrange(8)
            case 1 if at < len(octets):
                octets[at] = dice.choice(NOTABLE)
            case 2:
                octets[at : at + 2] = dice.randrange(65536).to_bytes(2, "big")
            case 3:
                octets[at : at + 2] = (0xC000 | dice.randrange(len(octets) + 1)).to_bytes(2, "big")
            case 4:
                del octets[at : at + dice.randrange(1, 24)]
            case 5:
                start = dice.randrange(len(octets) + 1)
                octets[at:at] = octets[start : start + dice.randrange(1, 48)]
            case 6:
                other = dice.choice(pool)
                start = dice.randrange(len(other) + 1)
                octets[at:] = other[start:]
            case 7:
                octets[at:at] = octets[at : at + 32] * dice.randrange(1, 64)
            case _:
                # One count of the header, or the length of something.
                octets[at : at + 1] = bytes([dice.randrange(256)])
                octets[4 + 2 * dice.randrange(4) + 1 : 6 + 2 * dice.randrange(4)] = bytes([dice.randrange(8)])
    return bytes(octets[:MAX_SIZE])


def run(target: str, seconds: float, seed: int) -> int:
    """Exit code: 0 if the invariant held for every input."""
    check = importlib.import_module(f"fuzz.{target}").check
    pool = read_seeds(HERE / "corpus" / f"{target}.hex")
    dice = random.Random(seed)
    known: set[Hashable] = set()
    tried = 0
    queue = list(pool)
    end = time.monotonic() + seconds
    while queue or time.monotonic() < end:
        wire = queue.pop() if queue else damage(dice.choice(pool), pool, dice)
        tried += 1
        try:
            outcome = check(wire)
        except Exception:  # noqa: BLE001 - whatever is raised is what was looked for
            traceback.print_exc()
            print(f"{target}: input {tried} of seed {seed} breaks the invariant: {wire.hex()}", file=sys.stderr)
            return 1
        if outcome not in known:
            known.add(outcome)
            pool.append(wire)
    print(f"{target}: {tried} inputs, {len(known)} different outcomes, none breaks the invariant")
    return 0


def main() -> int:
    targets = sorted(path.stem for path in (HERE / "corpus").glob("*.hex"))
    parser = argparse.ArgumentParser(description="Throw damaged packets at a target.")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("target", choices=targets)
    chosen = parser.parse_args()
    return run(chosen.target, chosen.seconds, chosen.seed)


if __name__ == "__main__":
    sys.path.insert(0, str(HERE.parent))
    sys.exit(main())
