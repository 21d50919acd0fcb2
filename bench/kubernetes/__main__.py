"""`bench/run --kubernetes`: what a person asks for -> figures, as they come, on the terminal; results."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aiohttp

from bench import generator, machine
from bench.ending import workplace
from bench.errors import BenchError
from bench.kubernetes import lab, measure
from bench.kubernetes.plan import QUICK, SECTIONS, Plan
from bench.kubernetes.report import markdown

FAILED = "Failed:"
# Of a part, after which the others are measured all the same: figures that can't be believed, an API server that does
# not start or goes away, writes to it that fail.
_FAILURES = (BenchError, AssertionError, OSError, aiohttp.ClientError, ExceptionGroup)
RESULTS = Path(__file__).resolve().parent.parent / "results"


def main(arguments: Sequence[str]) -> int:
    """Exit code: 0; 1 if it can't be run or something could not be measured."""
    options = parser().parse_args(arguments)
    plan = (QUICK if options.quick else Plan())._replace(sections=tuple(options.only or SECTIONS))
    try:
        document = _measured(plan, ["bench/run", "--kubernetes", *arguments])
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    text = markdown(document)
    print(f"\n{text}")
    if where := Path(options.store) if options.store else None if options.quick or options.only else RESULTS:
        where.mkdir(parents=True, exist_ok=True)
        (where / "kubernetes.json").write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
        (where / "kubernetes.md").write_text(text)
        print(f"written to {where}")
    return int(any(note.startswith(FAILED) for note in document["notes"]))


def _measured(plan: Plan, command: Sequence[str]) -> dict[str, Any]:
    with workplace() as folder:
        generator.compile_all(folder)
        found, notes = lab.find(folder)
        for note in notes:
            _say(note)
        _say(f"about {round(plan.seconds() / 60) or 1} min")
        document: dict[str, Any] = {
            "facts": machine.describe(), "command": shlex.join(command), "versions": dict(found.versions),
            "notes": notes, "method": plan._asdict(),
        }  # fmt: skip
        small, fleets = measure.small(found, plan, _say), measure.fleets(found, plan, _say)
        for part in (small, measure.large(found, plan, _say, folder), fleets):
            try:
                document.update(part)
            except _FAILURES as error:
                notes.append(f"{FAILED} {error}")
                print(notes[-1], file=sys.stderr, flush=True)
    return document


def _say(line: str) -> None:
    print(line, flush=True)


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(
        prog="bench/run --kubernetes",
        description="Measure hsdnsd and CoreDNS on a real API server (tests/cluster/build.sh makes it, or"
        " KUBEBUILDER_ASSETS names it). bench/README.md tells how to read it.",
        epilog="The whole is written to bench/results/kubernetes.json and .md; a part of it only with --store.",
    )
    result.add_argument("--quick", action="store_true", help="less of everything, in about four minutes")
    result.add_argument("--only", action="append", choices=SECTIONS, metavar="SECTION",
                        help=f"repeatable: {', '.join(SECTIONS)}")  # fmt: skip
    result.add_argument("--store", metavar="FOLDER", help="write kubernetes.json and kubernetes.md there")
    return result


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
