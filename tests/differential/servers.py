"""The upstream, and the two servers that forward to it."""

from __future__ import annotations

import contextlib
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench.process import free_port

UNBOUND = shutil.which("unbound", path="/usr/sbin:/usr/local/sbin:/usr/bin")

# It is to forward and cache, and not to iterate, validate or protect itself from so many questions of one client.
# What is no difference of opinion is set as the daemon has it: 30 s for what does not exist, 1,232 octets.
_CONFIGURATION = """
server:
  interface: 127.0.0.1
  port: {port}
  directory: ""
  chroot: ""
  username: ""
  pidfile: ""
  use-syslog: no
  logfile: ""
  do-daemonize: no
  do-ip6: no
  num-threads: 1
  module-config: "iterator"
  access-control: 127.0.0.0/8 allow
  do-not-query-localhost: no
  qname-minimisation: no
  minimal-responses: yes
  rrset-roundrobin: no
  num-queries-per-thread: 4096
  outgoing-range: 4096
  incoming-num-tcp: 64
  msg-cache-size: 64m
  rrset-cache-size: 128m
  cache-max-negative-ttl: 30
  edns-buffer-size: 1232
  max-udp-size: 1232
  use-caps-for-id: no
remote-control:
  control-enable: no
forward-zone:
  name: "."
  forward-addr: {upstream}
forward-zone:
  name: "plain.example"
  forward-addr: {plain}
"""


def version() -> str:
    """What the server calls itself, as in `Version 1.17.1`."""
    assert UNBOUND is not None
    return subprocess.run([UNBOUND, "-V"], check=True, capture_output=True, text=True).stdout.partition("\n")[0]


@contextlib.contextmanager
def upstream() -> Iterator[tuple[str, str]]:
    """The scripted upstream; the addresses of its two servers, the second of which knows no EDNS."""
    with contextlib.ExitStack() as stack:
        sockets, where = [], []
        for address in ("127.0.0.1", "127.0.0.2"):
            tcp = stack.enter_context(socket.create_server((address, free_port()), backlog=512))
            udp = stack.enter_context(socket.socket(type=socket.SOCK_DGRAM))
            udp.bind(tcp.getsockname())
            udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
            sockets += [udp, tcp]
            where.append("{}:{}".format(*tcp.getsockname()))
        descriptors = [sock.fileno() for sock in sockets]
        command = [sys.executable, "-m", "tests.differential.upstream", *map(str, descriptors)]
        process = stack.enter_context(subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=descriptors))
        try:
            yield where[0], where[1]
            assert process.poll() is None, "the upstream has ended"
        finally:
            process.kill()


@contextlib.contextmanager
def unbound(upstreams: tuple[str, str]) -> Iterator[tuple[str, int]]:
    """unbound as a forwarder; where it is asked."""
    assert UNBOUND is not None
    server = "127.0.0.1", free_port()
    addresses = [where.replace(":", "@") for where in upstreams]
    with tempfile.TemporaryDirectory() as folder:
        configuration = Path(folder, "unbound.conf")
        text = _CONFIGURATION.format(port=server[1], upstream=addresses[0], plain=addresses[1])
        configuration.write_text(text)
        log = Path(folder, "log")
        with log.open("wb") as output:
            command = [UNBOUND, "-d", "-c", str(configuration)]
            process = subprocess.Popen(command, stdout=output, stderr=output, preexec_fn=_many_files)
        try:
            end = time.monotonic() + 20
            while not _serves(server):
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < end, log.read_text()
                time.sleep(0.02)
            yield server
            assert process.poll() is None, log.read_text()
        finally:
            process.kill()
            process.wait()


def _many_files() -> None:
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _serves(server: tuple[str, int]) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(server, 1):
        return True
    return False
