"""The wheel of a folder, installed into an empty environment, serves and stops when told to.

    python .ci/wheel_serves.py dist

Without its native part the daemon would not start. The sdist beside it has to carry what the wheel is made of.
Standard library only.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import struct
import subprocess
import sys
import tarfile
import tempfile
import time
import venv
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
NAME = "postgres-0.postgres.database.svc.cluster.local"
START_LIMIT = 20.0  # seconds until the first answer
STOP_LIMIT = 15.0


def only(folder: Path, pattern: str) -> Path:
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        sys.exit(f"{folder}: expected one {pattern}, found {[path.name for path in found]}")
    return found[0].resolve()


def check_sdist(path: Path) -> None:
    with tarfile.open(path) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}
    sources = {name for name in names if name.endswith(".pyx")}
    compiled = {name for name in names if name.endswith((".so", ".pyc"))}
    wanted = {
        "pyproject.toml",
        "setup.py",
        "LICENSE",
        "Makefile",
        "hsdnsd/py.typed",
        "examples/try.txt",
        "docs/configuration.md",
    }
    if not sources or compiled or wanted - names:
        sys.exit(f"{path.name}: Cython sources {sources}, compiled files {compiled}, missing {wanted - names}")


def free_port() -> int:
    """A port of 127.0.0.1 that is free for UDP and TCP, below those that the kernel gives to outgoing connections: who
    asks before the daemon listens would else be given the very port, and be answered by itself."""
    while True:
        port = 10000 + secrets.randbelow(20000)
        with socket.socket(type=socket.SOCK_DGRAM) as udp, socket.socket() as tcp, contextlib.suppress(OSError):
            udp.bind(("127.0.0.1", port))
            tcp.bind(("127.0.0.1", port))
            return port


def ask(port: int) -> tuple[int, int]:
    """(rcode, number of answers) to an A question for NAME over UDP.

    Raises:
        OSError: nobody answered.
    """
    name = b"".join(bytes([len(label)]) + label.encode() for label in NAME.split("."))
    question = name + struct.pack("!BHH", 0, 1, 1)
    message_id = secrets.randbits(16)
    with socket.socket(type=socket.SOCK_DGRAM) as client:
        client.settimeout(1.0)
        client.connect(("127.0.0.1", port))
        client.send(struct.pack("!6H", message_id, 0x0100, 1, 0, 0, 0) + question)
        reply = client.recv(4096)
    got_id, flags, _, answers = struct.unpack("!4H", reply[:8])
    if got_id != message_id:
        sys.exit(f"asked with id {message_id}, answered with {got_id}")
    return flags & 0xF, answers


def first_answer(daemon: subprocess.Popen[bytes], port: int) -> tuple[int, int]:
    give_up = time.monotonic() + START_LIMIT
    while time.monotonic() < give_up and daemon.poll() is None:
        try:
            rcode, answers = ask(port)
        except OSError:
            time.sleep(0.1)  # not bound yet: ECONNREFUSED comes back at once
            continue
        if rcode != 2:  # SERVFAIL: bound, the objects are not read yet
            return rcode, answers
    sys.exit(f"no answer within {START_LIMIT:.0f} s; the daemon's exit code is {daemon.poll()}")


def main() -> None:
    dist = Path(sys.argv[1])
    check_sdist(only(dist, "*.tar.gz"))
    wheel = only(dist, "*.whl")
    port = free_port()
    environment = {
        key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "VIRTUAL_", "HSDNSD"))
    }
    with tempfile.TemporaryDirectory() as elsewhere:  # not the clone: nothing of its tree may be imported
        venv.create(Path(elsewhere, "venv"), with_pip=True)
        program = Path(elsewhere, "venv", "bin")
        pip = [program / "python", "-m", "pip", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "install", wheel], cwd=elsewhere, env=environment, check=True)
        serve = [program / "hsdnsd", "serve", "--manifests", EXAMPLES, "--listen", f"127.0.0.1:{port}", "--admin", ""]
        daemon = subprocess.Popen(serve, cwd=elsewhere, env=environment)
        try:
            rcode, answers = first_answer(daemon, port)
            daemon.send_signal(signal.SIGTERM)
            code = daemon.wait(STOP_LIMIT)
        finally:
            daemon.kill()
    print(f"{wheel.name}: {NAME} A: rcode {rcode}, {answers} answer(s); exit code {code} after SIGTERM")
    if (rcode, answers, code) != (0, 1, 0):
        sys.exit("expected rcode 0, 1 answer, exit code 0")


if __name__ == "__main__":
    main()
