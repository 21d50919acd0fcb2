"""hsdnsd.kube.source: both sources are what the interface says, and begin as it says."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hsdnsd.kube.apiserver import ApiServer
from hsdnsd.kube.manifests import Manifests
from hsdnsd.kube.source import OTHER_KINDS, Source
from hsdnsd.records.model import Kind
from tests.support.facts import nothing_held


def manifests(labels: str = "") -> Source:
    return Manifests(["nowhere"], labels=labels)


def api_server(labels: str = "") -> Source:
    return ApiServer("nowhere", list(Kind), nothing_held(), labels=labels)


@pytest.mark.parametrize("make", [manifests, api_server])
def test_nothing_is_known_before_a_source_runs(make: Callable[[], Source]) -> None:
    watches = make().watches()
    assert {watch.kind for watch in watches} - {OTHER_KINDS} == {kind.value for kind in Kind}
    for watch in watches:
        assert not watch.synced
        assert not watch.connected
        assert (watch.events, watch.relists, watch.failures, watch.skipped, watch.last_alive) == (0, 0, 0, 0, 0.0)


@pytest.mark.parametrize("make", [manifests, api_server])
def test_a_selector_that_is_none_is_refused_before_anything_is_opened(make: Callable[[str], Source]) -> None:
    with pytest.raises(ValueError, match="not an operator"):
        make("a b")
