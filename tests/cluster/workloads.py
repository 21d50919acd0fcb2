"""What controllers made of the objects of a test, read from the API."""

from __future__ import annotations

from typing import NamedTuple

from tests.cluster.api_client import ApiClient, Object
from tests.cluster.controllers import Controllers
from tests.cluster.expect import MADE
from tests.cluster.program import until


class Pod(NamedTuple):
    """A pod that has its addresses."""

    name: str
    ip: str
    ip6: str


def addressed_pods(api: ApiClient, namespace: str, **labels: str) -> list[Pod]:
    """Those with the labels that have addresses and are not being deleted, by name."""
    selector = ",".join(f"{key}={value}" for key, value in labels.items())
    items = api.get(f"/api/v1/namespaces/{namespace}/pods?labelSelector={selector}")["items"]
    return sorted(
        Pod(item["metadata"]["name"], *(each["ip"] for each in item["status"]["podIPs"]))
        for item in items
        if "deletionTimestamp" not in item["metadata"] and "podIPs" in item["status"]
    )


def pods_of(api: ApiClient, controllers: Controllers, workload: Object, replicas: int | None = None) -> list[Pod]:
    """The pods of a StatefulSet or Deployment, once there are as many as it asks for (or `replicas`)."""
    count = workload["spec"]["replicas"] if replicas is None else replicas
    space, labels = workload["metadata"]["namespace"], workload["spec"]["selector"]["matchLabels"]

    def probe() -> list[Pod]:
        pods = addressed_pods(api, space, **labels)
        if len(pods) != count:
            raise OSError(f"{len(pods)}")  # "not yet", with how many there are
        return pods

    # To list a thousand pods is work for the API server, which has these pods to make.
    pause = count / 1000
    what = f"{count} pods of {workload['metadata']['name']}"
    return until(what, probe, within=MADE + count / 4, check=controllers.check, pause=pause)


def has_only(api: ApiClient, controllers: Controllers, namespace: str, count: int) -> None:
    """Return when there are that many pods in a Namespace, those that are being deleted included."""
    pods = f"/api/v1/namespaces/{namespace}/pods"
    what = f"{count} pods in {namespace}, and none that is being deleted"
    until(what, lambda: len(api.get(pods)["items"]) == count, within=MADE, check=controllers.check)
