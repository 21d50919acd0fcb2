from __future__ import annotations

from hsdnsd.records.endpoints import NO_ENDPOINTS
from hsdnsd.records.held import HeldNamespace, HeldService, HeldSlice


def test_a_service_knows_its_place_in_the_zone() -> None:
    service = HeldService(HeldNamespace("shop", configured=True), "web")
    assert service.path == b"\x03web\x04shop"
    assert service.fact is None
    assert HeldSlice(service).endpoints is NO_ENDPOINTS


def test_a_namespace_is_empty_when_nothing_speaks_for_it() -> None:
    namespace = HeldNamespace("shop", configured=True)
    assert namespace.empty
    namespace.told = True
    assert not namespace.empty
    namespace.told = False
    namespace.services["web"] = HeldService(namespace, "web")
    assert not namespace.empty
    del namespace.services["web"]
    namespace.pods[bytes(4)] = 1
    assert not namespace.empty
