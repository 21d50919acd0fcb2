"""The control plane breaks, or turns the daemon away, while workloads live on: nothing is lost, nothing is wrong."""

from __future__ import annotations

import itertools
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from tests.cluster.api_client import ApiClient, ApiError, Object, namespace
from tests.cluster.asking import Asking
from tests.cluster.control_plane import API_PORT, ControlPlane
from tests.cluster.controllers import Controllers
from tests.cluster.daemon import Daemon
from tests.cluster.expect import MADE, NXDOMAIN, SYNCS, becomes, comes_to, wait_until_ready
from tests.cluster.objects import endpoint, endpoint_slice, headless, pod, service_account, stateful_set
from tests.cluster.program import until
from tests.cluster.proxy import Proxy
from tests.cluster.workloads import addressed_pods, has_only, pods_of

pytestmark = pytest.mark.cluster

# By the watches that each needs: slices of headless Services, and those that no controller makes.
KINDS: Final = {"Service": 1, "EndpointSlice": 2, "Namespace": 1}
RELISTS: Final = "hsdnsd_watch_relists_total"
PROXY_PORT: Final = API_PORT + 1
RIGHTS: Final[tuple[Object, ...]] = (
    {"apiGroups": [""], "resources": ["services", "namespaces"], "verbs": ["list", "watch"]},
    {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
)


@contextmanager
def running(daemon: Daemon) -> Iterator[Daemon]:
    """The daemon, ready."""
    daemon.program.start()
    try:
        wait_until_ready(daemon)
        yield daemon
    except BaseException:
        print(f"--- end of the log of hsdnsd ---\n{daemon.program.tail()}")
        raise
    finally:
        daemon.program.kill()


def counted(daemon: Daemon, metric: str) -> float:
    return sum(daemon.metric(metric, kind=kind) or 0.0 for kind in KINDS)


def listed_again(daemon: Daemon, before: Mapping[str, float]) -> bool:
    """Whether each watch had a list that is not among those `before`, which are by kind."""
    return all((daemon.metric(RELISTS, kind=kind) or 0.0) >= before[kind] + parts for kind, parts in KINDS.items())


def watches(daemon: Daemon) -> bool:
    return all(daemon.metric("hsdnsd_watch_connected", kind=kind) for kind in KINDS)


def watches_nothing(daemon: Daemon) -> bool:
    return not any(daemon.metric("hsdnsd_watch_connected", kind=kind) for kind in KINDS)


def was_told(daemon: Daemon, status: int) -> bool:
    """Whether each of its watches was once answered with this, over HTTP or within the stream."""
    log = daemon.program.log.read_text()
    return all(f"/{kind.lower()}s: {status} " in log for kind in KINDS)


def waits_for(daemon: Daemon, what: str, state: Callable[[Daemon], bool]) -> None:
    until(what, lambda: state(daemon), within=SYNCS, check=daemon.program.check)


def test_the_api_server_is_killed_under_a_workload(
    control_plane: ControlPlane, controllers: Controllers, daemon: Daemon, space: str
) -> None:
    """Between its deaths the cluster goes on: pods are replaced and scaled, and the daemon follows."""
    api, name = control_plane.api, f"db.{space}.svc.cluster.local"
    api.create(headless(space, "db", selector={"app": "db"}))
    workload = stateful_set(space, "db", 3)
    api.create(workload)
    pods = pods_of(api, controllers, workload)
    now = frozenset(each.ip for each in pods)
    comes_to(daemon, name, "A", now, within=MADE)
    stays = f"db-0.{name}"
    with Asking(daemon, (name, "A"), (stays, "A"), (f"_pg._tcp.{stays}", "SRV"), (f"no.{name}", "A")) as asking:
        for replicas in (2, 4):
            rounds = asking.rounds
            control_plane.kill_api_server()
            try:
                waits_for(daemon, "no watch is open", watches_nothing)
                asking.settle()
                assert daemon.ready()
            finally:
                control_plane.start_api_server()
            assert asking.rounds > rounds + 50
            assert asking.history(name, "A")[-1] == now
            api.patch(workload, {"spec": {"replicas": replicas}})
            now = frozenset(each.ip for each in pods_of(api, controllers, workload, replicas))
            comes_to(daemon, name, "A", now, within=MADE)
            waits_for(daemon, "every watch is open again", watches)
            # A kubelet that is kept from ending a pod may later end the next one of that name.
            has_only(api, controllers, space, replicas)
    assert asking.history(stays, "A") == [{pods[0].ip}]
    assert asking.history(f"no.{name}", "A") == [NXDOMAIN]
    assert NXDOMAIN not in asking.history(name, "A")
    gone: set[str] = set()
    for earlier, later in itertools.pairwise(asking.history(name, "A")):
        gone |= earlier - later
        assert not gone & later


def goes_stale(control_plane: ControlPlane, token: str, folder: Path, forget: Callable[[], None]) -> None:
    """Cut the daemon off, change one of everything, let the server `forget` what happened, and let the daemon back.

    It has to learn that its version is gone, to list again, and to tell what is new, what is gone and what has changed
    from what just went on, which nobody may notice.
    """
    api, space = control_plane.api, "stale"
    domain = f"{space}.svc.cluster.local"
    same, changes, goes, comes = (f"{name}.{domain}" for name in ("same", "changes", "goes", "comes"))
    api.create(namespace(space))
    for name, address in (("same", "10.7.0.1"), ("changes", "10.7.0.2"), ("goes", "10.7.0.3")):
        api.create(headless(space, name))
        api.create(endpoint_slice(space, name, [endpoint(address, "only")]))
    with (
        Proxy(control_plane.host, PROXY_PORT, API_PORT) as proxy,
        running(Daemon(folder, control_plane.kubeconfig(token, port=PROXY_PORT))) as daemon,
        Asking(daemon, *((name, "A") for name in (same, changes, goes, comes))) as asking,
    ):
        waits_for(daemon, "every watch is open", watches)
        lists = {kind: daemon.metric(RELISTS, kind=kind) or 0.0 for kind in KINDS}
        proxy.cut()
        waits_for(daemon, "no watch is open", watches_nothing)
        api.replace(endpoint_slice(space, "changes", [endpoint("10.7.0.99", "only")]))
        api.delete(headless(space, "goes"))
        api.delete(endpoint_slice(space, "goes", []))
        api.create(headless(space, "comes"))
        api.create(endpoint_slice(space, "comes", [endpoint("10.7.0.4", "only")]))
        forget()
        asking.settle()
        proxy.mend()
        becomes(daemon, changes, "A", "10.7.0.99", before=frozenset(["10.7.0.2"]), within=SYNCS)
        becomes(daemon, goes, "A", "NXDOMAIN", before=frozenset(["10.7.0.3"]), within=SYNCS)
        becomes(daemon, comes, "A", "10.7.0.4", within=SYNCS)
        comes_to(daemon, f"only.{comes}", "A", ["10.7.0.4"])
        waits_for(daemon, "its version is gone", lambda daemon: was_told(daemon, 410))
        waits_for(daemon, "everything is listed again", lambda daemon: listed_again(daemon, lists))
        waits_for(daemon, "every watch is open again", watches)
        api.replace(endpoint_slice(space, "same", [endpoint("10.7.0.1", "only"), endpoint("10.7.0.5", "more")]))
        becomes(daemon, same, "A", "10.7.0.1", "10.7.0.5", before=frozenset(["10.7.0.1"]))
    assert asking.history(same, "A") == [{"10.7.0.1"}, {"10.7.0.1", "10.7.0.5"}]
    assert asking.history(changes, "A") == [{"10.7.0.2"}, {"10.7.0.99"}]
    assert asking.history(goes, "A") == [{"10.7.0.3"}, NXDOMAIN]
    assert asking.history(comes, "A") == [NXDOMAIN, {"10.7.0.4"}]


def test_410_from_etcd(uncached_control_plane: ControlPlane, tmp_path: Path) -> None:
    """Compaction alone: an API server without a cache of its own watches etcd, which has forgotten."""
    token = uncached_control_plane.token_of("kube-system", "hsdnsd")
    goes_stale(uncached_control_plane, token, tmp_path, uncached_control_plane.compact)


def test_410_from_the_watch_cache(control_plane: ControlPlane, token: str, tmp_path: Path) -> None:
    """An API server that was started again has nothing in its cache that is older."""

    def forget() -> None:
        control_plane.compact()
        control_plane.kill_api_server()
        control_plane.start_api_server()

    goes_stale(control_plane, token, tmp_path, forget)


def refuses(client: ApiClient, status: int) -> bool:
    """Whether the API server answers a list with this."""
    try:
        client.get("/api/v1/services?limit=1")
    except ApiError as error:
        return error.status == status
    return False


class Token:
    """A token in a file, as a kubelet keeps it: each one is good until it is revoked, which is what expiry looks like.

    (The shortest life that can be asked for is ten minutes. What is bound to an object ends with that.)
    """

    def __init__(self, control_plane: ControlPlane, file: Path) -> None:
        self.file = file
        self._control_plane = control_plane
        self._count = 0
        self.rotate()

    def rotate(self) -> None:
        """Put a fresh one into the file; the old one is good still."""
        api = self._control_plane.api
        self._count += 1
        name = f"{self.file.parent.name}-{self._count}".replace("_", "-").lower()
        metadata = {"namespace": "kube-system", "name": name}
        self._bound_to = api.create({"apiVersion": "v1", "kind": "Secret", "metadata": metadata})
        self._token = self._control_plane.token_of("kube-system", "hsdnsd", self._bound_to)
        aside = self.file.with_suffix(".new")
        aside.write_text(self._token)
        aside.replace(self.file)

    def revoke(self) -> None:
        """The one in the file is good no longer; returns when the API server has noticed."""
        self._control_plane.api.delete(self._bound_to)
        client = self._control_plane.client(self._token)
        # It goes on believing for ten seconds.
        until("the token is refused", lambda: refuses(client, 401), within=30, pause=0.2)


def outlives_its_token(control_plane: ControlPlane, token: Token, daemon: Daemon, space: str, proxy: Proxy) -> None:
    api, name = control_plane.api, f"db.{space}.svc.cluster.local"
    api.create(headless(space, "db"))
    api.create(endpoint_slice(space, "db", [endpoint("10.8.0.1")]))
    with running(daemon), Asking(daemon, (name, "A")) as asking:
        comes_to(daemon, name, "A", ["10.8.0.1"])
        token.revoke()
        proxy.cut()
        proxy.mend()
        waits_for(daemon, "it is refused", lambda daemon: was_told(daemon, 401))
        api.replace(endpoint_slice(space, "db", [endpoint("10.8.0.2")]))
        asking.settle()
        assert daemon.ready()
        assert daemon.answers(name, "A") == {"10.8.0.1"}
        token.rotate()
        becomes(daemon, name, "A", "10.8.0.2", before=frozenset(["10.8.0.1"]), within=SYNCS)
        waits_for(daemon, "every watch is open again", watches)
        # As kubelets do it: a new one is there in good time.
        token.rotate()
        failures = counted(daemon, "hsdnsd_watch_failures_total")
        proxy.cut()
        proxy.mend()
        waits_for(daemon, "it notices", lambda daemon: counted(daemon, "hsdnsd_watch_failures_total") > failures)
        waits_for(daemon, "every watch is open again", watches)
        api.replace(endpoint_slice(space, "db", [endpoint("10.8.0.3")]))
        becomes(daemon, name, "A", "10.8.0.3", before=frozenset(["10.8.0.2"]), within=SYNCS)
    assert [answer for answer in asking.history(name, "A") if answer != NXDOMAIN] == [
        {"10.8.0.1"},
        {"10.8.0.2"},
        {"10.8.0.3"},
    ]


def test_its_token_expires_in_a_kubeconfigs_token_file(control_plane: ControlPlane, space: str, tmp_path: Path) -> None:
    token = Token(control_plane, tmp_path / "token")
    daemon = Daemon(tmp_path, control_plane.kubeconfig(token.file, port=PROXY_PORT))
    with Proxy(control_plane.host, PROXY_PORT, API_PORT) as proxy:
        outlives_its_token(control_plane, token, daemon, space, proxy)


def in_a_pod(control_plane: ControlPlane, account: Path) -> list[str | Path]:
    """The start of a command line whose rest sees what a pod would: the ServiceAccount's files and the environment."""
    script = 'mount -t tmpfs none /run && mkdir -p /run/secrets/kubernetes.io && ln -s "$0" "$1" && shift && exec "$@"'
    seen_at = "/run/secrets/kubernetes.io/serviceaccount"
    host, port = f"KUBERNETES_SERVICE_HOST={control_plane.host}", f"KUBERNETES_SERVICE_PORT={PROXY_PORT}"
    return ["env", host, port, "unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, account, seen_at]


def test_its_token_expires_in_a_pod(control_plane: ControlPlane, space: str, tmp_path: Path) -> None:
    account = tmp_path / "serviceaccount"
    account.mkdir()
    prefix = in_a_pod(control_plane, account)
    if not Path("/var/run").samefile("/run") or not shutil.which("unshare"):
        pytest.skip("needs a /run and unshare")
    tried = subprocess.run([*prefix, "true"], capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        pytest.skip(f"no mount namespace to be had: {tried.stderr.strip()}")
    shutil.copy(control_plane.authority, account / "ca.crt")
    token = Token(control_plane, account / "token")
    with Proxy(control_plane.host, PROXY_PORT, API_PORT) as proxy:
        outlives_its_token(control_plane, token, Daemon(tmp_path, None, *prefix), space, proxy)


def test_rights_are_taken_away_and_given_back(
    control_plane: ControlPlane, controllers: Controllers, space: str, tmp_path: Path
) -> None:
    api, name = control_plane.api, f"db.{space}.svc.cluster.local"
    account, role, binding = service_account("kube-system", space, *RIGHTS)
    for obj in (account, role, binding):
        api.create(obj)
    api.create(headless(space, "db", selector={"app": "db"}))
    workload = stateful_set(space, "db", 2)
    api.create(workload)
    pods = pods_of(api, controllers, workload)
    token = control_plane.token_of("kube-system", space)
    theirs = control_plane.client(token)
    with (
        Proxy(control_plane.host, PROXY_PORT, API_PORT) as proxy,
        running(Daemon(tmp_path, control_plane.kubeconfig(token, port=PROXY_PORT))) as daemon,
    ):
        before = frozenset(each.ip for each in pods)
        comes_to(daemon, name, "A", before, within=MADE)
        with Asking(daemon, (name, "A"), (f"db-0.{name}", "A")) as asking:
            waits_for(daemon, "every watch is open", watches)
            api.delete(binding)
            until("the API server knows", lambda: refuses(theirs, 403), within=30, pause=0.1)
            proxy.cut()
            proxy.mend()
            waits_for(daemon, "it is denied", lambda daemon: was_told(daemon, 403))
            api.delete(pod(space, "db-1"))

            def another() -> str | None:
                there = [each.ip for each in addressed_pods(api, space) if each.name == "db-1"]
                return there[0] if there and there[0] not in before else None

            new = until("db-1 is another pod", another, within=MADE, check=controllers.check)
            asking.settle()
            assert daemon.ready()
            assert daemon.answers(name, "A") == before
            api.create(binding)
            comes_to(daemon, name, "A", [pods[0].ip, new], within=SYNCS)
            waits_for(daemon, "every watch is open again", watches)
        assert asking.history(f"db-0.{name}", "A") == [{pods[0].ip}]
        assert NXDOMAIN not in asking.history(name, "A")
