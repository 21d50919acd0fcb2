"""What makes pods, addresses and EndpointSlices of the objects in an API server: controllers, scheduler, kubelets."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tests.cluster.control_plane import ControlPlane
from tests.cluster.objects import node
from tests.cluster.program import Program, until

PROGRAMS: Final = ("kube-controller-manager", "kube-scheduler", "kwok")
NODES: Final = ("node-0", "node-1", "node-2")
# What DNS depends on. None that watches the health of Nodes: an API server that tests kill would look like dead Nodes.
_CONTROLLERS: Final = (
    "daemonset-controller",
    "deployment-controller",
    "endpointslice-controller",
    "endpointslice-mirroring-controller",
    "garbage-collector-controller",
    "namespace-controller",
    "replicaset-controller",
    "statefulset-controller",
)
_UNLIMITED: Final = (
    "--kube-api-qps=2000",
    "--kube-api-burst=4000",
)  # 20 a second would make 1,000 pods a matter of minutes
_START: Final = 60.0  # seconds; three on an idle machine


class Controllers:
    """A context manager; in it Nodes are ready, and Deployments, StatefulSets and the like become pods.

    kube-controller-manager with the controllers that DNS depends on, kube-scheduler, and kwok in place of kubelets
    (kubelet.yaml). Each survives the API server's death, as in a cluster.
    """

    def __init__(self, control_plane: ControlPlane, folder: Path) -> None:
        self._control_plane = control_plane
        kubeconfig = control_plane.kubeconfig()
        programs = control_plane.programs
        served = [f"--bind-address={control_plane.host}", "--leader-elect=false", "--authentication-skip-lookup"]
        manager: list[str | Path] = [
            programs / "kube-controller-manager",
            f"--kubeconfig={kubeconfig}",
            f"--cert-dir={folder}",
            *served,
            *_UNLIMITED,
            f"--controllers={','.join(_CONTROLLERS)}",
        ]
        scheduler: list[str | Path] = [
            programs / "kube-scheduler",
            f"--kubeconfig={kubeconfig}",
            f"--cert-dir={folder}",
            *served,
            *_UNLIMITED,
        ]
        kwok: list[str | Path] = [
            programs / "kwok",
            f"--kubeconfig={kubeconfig}",
            f"--config={Path(__file__).with_name('kubelet.yaml')}",
            "--manage-all-nodes",
            f"--node-ip={control_plane.host}",
        ]
        self._running = [
            Program(name, command, folder / f"{name}.log")
            for name, command in zip(PROGRAMS, (manager, scheduler, kwok), strict=True)
        ]

    def __enter__(self) -> Self:
        try:
            for program in self._running:
                program.start()
            for name in NODES:
                self._control_plane.api.create(node(name))
            until("every Node is ready", self._nodes_ready, within=_START, check=self.check)
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def check(self) -> None:
        """Raises AssertionError with the end of its log if one ended by itself."""
        for program in self._running:
            program.check()

    def logs(self) -> Mapping[str, str]:
        """The end of each program's log."""
        return {program.name: program.tail() for program in self._running}

    def _nodes_ready(self) -> bool:
        nodes = self._control_plane.api.get("/api/v1/nodes")["items"]
        conditions = [condition for node in nodes for condition in node["status"].get("conditions", ())]
        return [each["status"] for each in conditions if each["type"] == "Ready"] == ["True"] * len(NODES)

    def _stop(self) -> None:
        for program in self._running:
            program.kill()
