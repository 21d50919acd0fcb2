"""The control plane itself: what the other tests lean on."""

from __future__ import annotations

import pytest

from tests.cluster.api_client import ApiError, namespace
from tests.cluster.control_plane import ControlPlane

pytestmark = pytest.mark.cluster


def test_the_api_server_knows_its_version(control_plane: ControlPlane) -> None:
    version = control_plane.api.get("/version")
    assert (version["major"], version["minor"]) == ("1", version["gitVersion"].split(".")[1])


def test_it_holds_the_deployed_daemonset(control_plane: ControlPlane) -> None:
    template = control_plane.api.get("/apis/apps/v1/namespaces/kube-system/daemonsets/hsdnsd")["spec"]["template"]
    assert template["spec"]["serviceAccountName"] == "hsdnsd"  # whose token and rights the tests of the daemon use


@pytest.mark.parametrize(
    "path",
    ["/api/v1/services", "/api/v1/namespaces", "/apis/discovery.k8s.io/v1/endpointslices"],
)
def test_the_daemons_role_lists_what_it_needs(control_plane: ControlPlane, token: str, path: str) -> None:
    assert control_plane.client(token).get(path)["items"] is not None


@pytest.mark.parametrize("path", ["/api/v1/secrets", "/api/v1/pods", "/api/v1/configmaps", "/api/v1/nodes"])
def test_the_daemons_role_lists_nothing_else(control_plane: ControlPlane, token: str, path: str) -> None:
    with pytest.raises(ApiError) as refused:
        control_plane.client(token).get(path)
    assert refused.value.status == 403


def test_the_daemons_role_changes_nothing(control_plane: ControlPlane, token: str) -> None:
    daemon = control_plane.client(token)
    for change in (daemon.create, daemon.delete):
        with pytest.raises(ApiError) as refused:
            change(namespace("default"))
        assert refused.value.status == 403
