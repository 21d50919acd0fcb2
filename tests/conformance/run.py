"""Run every data set of a folder against the daemon: `python -m tests.conformance.run DIR [--exact]`."""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
import time
from pathlib import Path

from bench.process import free_port
from tests.conformance.compare import ask
from tests.conformance.dataset import Case, DataSet, find
from tests.conformance.options import UnknownOptionError, settings
from tests.conformance.upstream import Script, serve
from tests.support.daemon import Daemon, running

# A changed manifest is seen within its poll; the answers of the next step may lag that much, and no more.
SETTLE_TIMEOUT = 10.0
_UNREACHABLE = """
apiVersion: v1
kind: Config
current-context: nowhere
clusters: [{name: nowhere, cluster: {server: "http://127.0.0.1:%d"}}]
contexts: [{name: nowhere, context: {cluster: nowhere, user: nobody}}]
users: [{name: nobody, user: {}}]
"""


def main() -> int:
    """Exit status 0 only if something ran and all of it passed."""
    parser = argparse.ArgumentParser(prog="python -m tests.conformance.run", description=__doc__)
    parser.add_argument("folder", type=Path, help="a data set, or a folder of them")
    parser.add_argument(
        "--exact", action="store_true", help="compat = coredns, and CoreDNS's own answer alone is right"
    )
    options = parser.parse_args()
    passed = failed = 0
    for story in find(options.folder):
        for dataset, failures, total in play(story, options.exact):
            for failure in failures:
                print(failure)
            good = max(total - len(failures), 0)
            print(f"{dataset.name}: {good} passed, {len(failures)} failed", flush=True)
            passed, failed = passed + good, failed + len(failures)
    print(f"{passed} passed, {failed} failed")
    return 0 if passed and not failed else 1


def play(story: list[DataSet], exact: bool) -> list[tuple[DataSet, list[str], int]]:
    """Run the steps of one story on one daemon; for each its failures, and how many questions were asked."""
    first = story[0]
    script = Script([entry for dataset in story for entry in dataset.upstream])
    try:
        with contextlib.ExitStack() as opened:
            # Without a script nothing listens where the forwarder points.
            upstream = opened.enter_context(serve(script)) if first.upstream else f"127.0.0.1:{free_port()}"
            folder = Path(opened.enter_context(tempfile.TemporaryDirectory()))
            daemon = opened.enter_context(_daemon(first, folder, upstream, exact))
            results = []
            for dataset in story:
                if dataset is not first:
                    _replace(folder / "manifests.yaml", dataset.manifests)
                    _settle(dataset, daemon, exact)
                results.append(_judge(dataset, daemon, script, exact))
            return results
    except (UnknownOptionError, AssertionError) as problem:
        return [(dataset, [f"FAIL {dataset.name}: {problem}"], 0) for dataset in story]


def _daemon(dataset: DataSet, folder: Path, upstream: str, exact: bool) -> contextlib.AbstractContextManager[Daemon]:
    wanted = settings(dataset.options, {"SERVER_IP": "127.0.0.1", "UPSTREAM": upstream})
    if "forward" not in dataset.options:
        wanted.append('forward.resolv_conf=""')
    if exact:
        wanted.append("zone.compat=coredns")
    if dataset.options.get("cluster_unreachable"):
        kubeconfig = folder / "kubeconfig"
        kubeconfig.write_text(_UNREACHABLE % free_port())
        return running("--kubeconfig", str(kubeconfig), settings=wanted, ready="/livez")
    _replace(folder / "manifests.yaml", dataset.manifests)
    return running("--manifests", str(folder), settings=wanted)


def _replace(path: Path, text: str) -> None:
    beside = path.with_suffix(".new")
    beside.write_text(text)
    beside.replace(path)


def _settle(dataset: DataSet, daemon: Daemon, exact: bool) -> None:
    """Wait until the changed manifests have been read: until the step's own questions are answered right."""
    end = time.monotonic() + SETTLE_TIMEOUT
    while time.monotonic() < end and any(_run(case, daemon, False, exact) for case in dataset.cases):
        time.sleep(0.1)


def _judge(dataset: DataSet, daemon: Daemon, script: Script, exact: bool) -> tuple[DataSet, list[str], int]:
    failures = []
    total = 0
    for case in dataset.cases:
        if exact and case.get("coredns_differs"):
            continue
        for tcp in _transports(case):
            total += 1
            if case.get("delay"):
                time.sleep(case["delay"])
            counted = case.get("upstream_queries") or {}
            before = {question: script.count(question) for question in counted}
            found = []
            for _ in range(case.get("repeat", 1)):
                found += _run(case, daemon, tcp, exact)
            for question, wanted in counted.items():
                asked = script.count(question) - before[question]
                if asked not in (wanted if isinstance(wanted, list) else [wanted]):
                    found.append(f"the upstream was asked {asked} times for {question}, not {wanted}")
            if found:
                where = f"FAIL {dataset.name} {case['id']} [{case['qname']} {case['qtype']} {'tcp' if tcp else 'udp'}]"
                failures.append("\n     ".join([where, *found]))
    return dataset, failures, total


def _transports(case: Case) -> list[bool]:
    if case.get("transport") == "tcp" or case["qtype"] == "AXFR":
        return [True]
    return [False] if case.get("transport") == "udp" else [False, True]


def _run(case: Case, daemon: Daemon, tcp: bool, exact: bool) -> list[str]:
    return ask(case, daemon.server, tcp, exact, daemon.server[0])


if __name__ == "__main__":
    sys.exit(main())
