"""A real API server on an address of its own in 127.0.0.0/8: etcd and kube-apiserver, ready in a few seconds."""

from __future__ import annotations

import base64
import contextlib
import functools
import http.client
import json
import os
import secrets
import ssl
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tests.cluster.api_client import ApiClient, ApiError, Object
from tests.cluster.program import Program, loopback_address, until

CLUSTER_IPS: Final = ("10.96.0.0/16", "fd00:10:96::/108")  # IPv6 ranges may not be larger than /108
API_PORT: Final = 6443
_ETCD_PORT: Final = 2379
_START: Final = 60.0  # seconds; three on an idle machine


class NoProgramsError(Exception):
    """No kube-apiserver and etcd on this machine; says what to do."""


def find_programs(*names: str) -> Path:
    """The folder that holds `names`, as build.sh tells it.

    Raises:
        NoProgramsError: at least one of them is not there.
    """
    build = Path(__file__).with_name("build.sh")
    where = subprocess.run([build, "where"], capture_output=True, text=True, check=False)
    if where.returncode != 0:
        raise NoProgramsError(where.stderr.strip())
    folder = Path(where.stdout.splitlines()[-1])
    missing = [name for name in names if not os.access(folder / name, os.X_OK)]
    if missing:
        raise NoProgramsError(
            f"no {' or '.join(missing)} in {folder}: `make cluster-test` builds them where there is Go"
        )
    return folder


class ControlPlane:
    """A context manager; every program is gone when it is left. What is written lies in `folder`.

    Args:
        flags: more of kube-apiserver.

    Attributes:
        host: the loopback address of this control plane alone.
    """

    def __init__(self, programs: Path, folder: Path, *flags: str) -> None:
        self.host = loopback_address()
        self.programs = programs
        self._folder = folder
        self._flags = flags
        self._admin_token = secrets.token_hex(16)
        self._certificates = folder / "certificates"
        self.etcd = Program("etcd", self._etcd_command(programs / "etcd"), folder / "etcd.log")
        self.api_server = Program(
            "kube-apiserver", self._api_server_command(programs / "kube-apiserver"), folder / "kube-apiserver.log"
        )
        self._clients: list[ApiClient] = []

    def __enter__(self) -> Self:
        (self._folder / "service-accounts.key").write_text(_ec_private_key())
        (self._folder / "tokens.csv").write_text(f"{self._admin_token},admin,admin,system:masters\n")
        try:
            self.etcd.start()
            self.start_api_server()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def start_api_server(self) -> None:
        """Start it and wait until it is ready, with the bootstrap roles of RBAC in place."""
        self.api_server.start()
        until("kube-apiserver ready", self._ready, within=_START, check=self._check)

    def kill_api_server(self) -> None:
        """End it as a crash does: connections are cut, nobody is told."""
        self.api_server.kill()

    @functools.cached_property
    def api(self) -> ApiClient:
        """The client of a member of system:masters."""
        return self.client(self._admin_token)

    def client(self, token: str) -> ApiClient:
        """A client with this token, closed with the control plane."""
        tls = ssl.create_default_context(cafile=str(self.authority))
        client = ApiClient(self.host, API_PORT, token, tls)
        self._clients.append(client)
        return client

    def token_of(self, namespace: str, service_account: str, bound_to: Object | None = None) -> str:
        """A token of the ServiceAccount, as a pod of it is given one; good for an hour, or until `bound_to` is gone.

        Args:
            bound_to: a Pod or Secret, as the API server returned it.
        """
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{service_account}/token"
        request: Object = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
        if bound_to is not None:
            reference = {"name": bound_to["metadata"]["name"], "uid": bound_to["metadata"]["uid"]}
            request["spec"] = {"boundObjectRef": {"apiVersion": "v1", "kind": bound_to["kind"], **reference}}
        token: str = self.api.post(path, request)["status"]["token"]
        return token

    @property
    def authority(self) -> Path:
        """What vouches for the API server's certificate, PEM."""
        return self._certificates / "apiserver.crt"

    def kubeconfig(self, token: str | Path = "", *, port: int = API_PORT) -> Path:
        """A kubeconfig for the API server.

        Args:
            token: the token itself, or a file that holds it; "": that of a member of system:masters.
            port: where the API server is reached; its certificate is good for every port of `host`.
        """
        authority = base64.b64encode(self.authority.read_bytes()).decode()
        server = f"https://{self.host}:{port}"
        user = {"tokenFile": str(token)} if isinstance(token, Path) else {"token": token or self._admin_token}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "c", "cluster": {"server": server, "certificate-authority-data": authority}}],
            "users": [{"name": "u", "user": user}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "c",
        }
        path = self._folder / f"{secrets.token_hex(4)}.kubeconfig"
        path.write_text(json.dumps(config, indent=1))  # JSON is YAML
        path.chmod(0o600)
        return path

    def compact(self) -> None:
        """Make etcd forget everything but the state of this moment."""
        now = self._etcd("range", {"key": base64.b64encode(b"/").decode(), "count_only": True})["header"]["revision"]
        self._etcd("compaction", {"revision": now, "physical": True})

    def logs(self) -> Mapping[str, str]:
        """The end of each program's log."""
        return {program.name: program.tail() for program in (self.etcd, self.api_server)}

    def _etcd(self, call: str, request: Object) -> Object:
        """One call of etcd's own API, through its JSON gateway."""
        connection = http.client.HTTPConnection(self.host, _ETCD_PORT, timeout=30)
        with contextlib.closing(connection):
            connection.request("POST", f"/v3/kv/{call}", json.dumps(request))
            response = connection.getresponse()
            answer: Object = json.loads(response.read())
        assert response.status == 200, answer
        return answer

    def _ready(self) -> bool:
        with contextlib.suppress(ApiError, http.client.HTTPException):
            return self.api.text("/readyz") == "ok"
        return False

    def _check(self) -> None:
        self.etcd.check()
        self.api_server.check()

    def _stop(self) -> None:
        for client in self._clients:
            client.close()
        self.api_server.kill()
        self.etcd.kill()

    def _etcd_command(self, program: Path) -> list[str | Path]:
        clients, peers = f"http://{self.host}:{_ETCD_PORT}", f"http://{self.host}:2380"
        return [
            program,
            f"--data-dir={self._folder / 'etcd'}",
            f"--listen-client-urls={clients}",
            f"--advertise-client-urls={clients}",
            f"--listen-peer-urls={peers}",
            f"--initial-advertise-peer-urls={peers}",
            f"--initial-cluster=default={peers}",
            "--unsafe-no-fsync",  # its state dies with the test; crashes of programs do not need the disk
            f"--quota-backend-bytes={4 << 30}",
            "--log-level=warn",
        ]

    def _api_server_command(self, program: Path) -> list[str | Path]:
        key = self._folder / "service-accounts.key"
        return [
            program,
            f"--etcd-servers=http://{self.host}:{_ETCD_PORT}",
            f"--bind-address={self.host}",
            f"--advertise-address={self.host}",  # else it looks for an interface that is not loopback
            f"--secure-port={API_PORT}",
            f"--cert-dir={self._certificates}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={key}",
            f"--service-account-signing-key-file={key}",
            f"--token-auth-file={self._folder / 'tokens.csv'}",
            "--authorization-mode=RBAC",
            f"--service-cluster-ip-range={','.join(CLUSTER_IPS)}",
            # No controller here makes the accounts that the one asks for, nor takes away the taint that the other sets.
            "--disable-admission-plugins=ServiceAccount,TaintNodesByCondition",
            "--endpoint-reconciler-type=none",
            *self._flags,
        ]


def _ec_private_key() -> str:
    """A fresh P-256 key as RFC 5915 has it, the optional parts left out but the curve; PEM.

    Signing keys of service accounts may be RSA or ECDSA; this kind needs neither a library nor a program to make.
    """
    scalar = b"\0" + secrets.token_bytes(31)  # below the order of the curve, whatever the octets
    curve = bytes.fromhex("a00a06082a8648ce3d030107")  # [0] OBJECT IDENTIFIER prime256v1
    inner = b"\x02\x01\x01" + b"\x04\x20" + scalar + curve
    der = b"\x30" + bytes([len(inner)]) + inner
    return f"-----BEGIN EC PRIVATE KEY-----\n{base64.b64encode(der).decode()}\n-----END EC PRIVATE KEY-----\n"
