"""docs/differences.md, with the shares that are measured now.

python -m tests.differential > docs/differences.md
"""

from __future__ import annotations

from tests.differential.differences import DIFFERENCES
from tests.differential.running import run, shares
from tests.differential.servers import version

COUNT, SEED = 20_000, 1

_HEAD = """\
# Where we answer otherwise than unbound

Made by `python -m tests.differential > docs/differences.md`; a test compares the classes.

unbound forwards, as we do, to one scripted upstream (`tests/differential/world.py`), which answers by the question
alone: honestly, and in most ways in which an answer can be odd or false. Both are asked the same {count:,} mixed
questions, over UDP and TCP, with and without EDNS, and then again, when both have the answers in their caches. Compared
are the rcode, the flags, all records of all sections, and the TTLs. Odd answers come far more often than in earnest:
these shares say how often the classes were tried, not how often anybody meets them.

The answers differ in {share:.2%} of the questions, for the {classes} reasons below; {unexplained:.3%} are explained by
none of them (second time {unexplained_again:.3%}). Measured with unbound's {version}. `make test` asks 2,000, and fails
if more than 0.1 % are without a reason. `HSDNSD_DIFFERENTIAL_QUESTIONS=20000 make test ARGS=tests/differential` asks
all of them, `HSDNSD_DIFFERENTIAL_SEED=2` others.

| what | share | here, there, and why |
|---|---:|---|
"""


def main() -> None:
    outcome = run(COUNT, SEED)
    first, second = shares(outcome.first, COUNT), shares(outcome.second, COUNT)
    head = _HEAD.format(
        count=COUNT,
        share=len(outcome.first) / COUNT,
        classes=len(DIFFERENCES),
        unexplained=first.get(None, 0),
        unexplained_again=second.get(None, 0),
        version=version().lower(),
    )
    rows = [
        f"| {difference.title} | {max(first.get(difference.title, 0), second.get(difference.title, 0)):.3%} "
        f"| {difference.reason} |"
        for difference in DIFFERENCES
    ]
    print(head + "\n".join(rows))


if __name__ == "__main__":
    main()
