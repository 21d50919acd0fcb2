"""The tables of the configuration: every key with its type and default, what it means, and why it is what it is."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from hsdnsd import forms
from hsdnsd.schema import Key

MIB = 1 << 20


def _ttl(records: str) -> Key:
    return Key(
        f"TTL of {records}; not set: `zone.ttl`.",
        why="one TTL for all is right until one kind of record is known to need another",
        unit="seconds",
        low=0,
        high=3600,
    )


class Source(msgspec.Struct, frozen=True):
    """Where the Kubernetes objects come from: at most one of the three. With none there are no own zones, only forward
    and cache."""

    manifests: Annotated[
        tuple[str, ...],
        Key(
            "Files and directories of Kubernetes YAML (Service, EndpointSlice, Namespace, Pod). They are watched: a "
            "change of a file changes the answers.",
            why="no source: nothing of a cluster is claimed that was not asked for",
            form=forms.PATH,
            at_start=True,
        ),
    ] = ()
    kubeconfig: Annotated[
        str,
        Key(
            "A kubeconfig file; its current context is the cluster that is watched.",
            why="inside a cluster there is none, and outside nobody should be connected by accident",
            form=forms.PATH,
            empty=True,
            at_start=True,
        ),
    ] = ""
    in_cluster: Annotated[
        bool,
        Key(
            "Watch the cluster in which the daemon runs, with the service account of its pod.",
            why="asked for by the DaemonSet in deploy/; elsewhere there is no service account",
            at_start=True,
        ),
    ] = False
    snapshot: Annotated[
        str,
        Key(
            "A file in which what the API server last said is kept, so that a daemon that starts while it can't be "
            'reached answers all the same, with Extended DNS Error 3, until it is; `""`: none. For `kubeconfig` and '
            "`in_cluster`.",
            why="nothing is written to a disk before somebody says where; deploy/ says /var/lib/hsdnsd/snapshot",
            form=forms.PATH,
            empty=True,
            at_start=True,
        ),
    ] = ""
    snapshot_pod_age: Annotated[
        float,
        Key(
            "For how long after the API server was last heard the addresses of endpoints and pods are told from the "
            "snapshot.",
            why="a restart takes minutes; later another pod may have the address, and a wrong one is worse than none",
            unit="seconds",
            low=0,
            high=2592000,
            at_start=True,
        ),
    ] = 600.0
    snapshot_service_age: Annotated[
        float,
        Key(
            "The same for Services and namespaces: cluster IPs, external names.",
            why="a cluster IP stays with its Service for as long as that lives, and the node's rules lead on from it",
            unit="seconds",
            low=0,
            high=2592000,
            at_start=True,
        ),
    ] = 86400.0


class Zone(msgspec.Struct, frozen=True):
    """The zones that are answered from Kubernetes objects."""

    name: Annotated[
        str,
        Key(
            "The cluster domain.", why="what kubeadm and most distributions set up", form=forms.OWN_ZONE, at_start=True
        ),
    ] = "cluster.local"
    reverse_zones: Annotated[
        tuple[str, ...],
        Key(
            "The reverse zones that are answered here: in-addr.arpa, ip6.arpa, or zones below them.",
            why="addresses of Services and pods may lie anywhere; what is not found is asked elsewhere, "
            "see `zone.fallthrough`",
            form=forms.REVERSE_ZONE,
            at_start=True,
        ),
    ] = ("in-addr.arpa", "ip6.arpa")
    namespaces: Annotated[
        tuple[str, ...],
        Key(
            "The namespaces that are exposed; empty: all.",
            why="Kubernetes DNS is cluster-wide",
            form=forms.NAMESPACE,
            at_start=True,
        ),
    ] = ()
    labels: Annotated[
        str,
        Key(
            "A label selector that Services, EndpointSlices and Pods have to match; empty: all.",
            why="Kubernetes DNS knows no unselected objects",
            form=forms.SELECTOR,
            empty=True,
            at_start=True,
        ),
    ] = ""
    namespace_labels: Annotated[
        str,
        Key(
            "A label selector that a namespace has to match to be exposed; empty: all.",
            why="Kubernetes DNS is cluster-wide",
            form=forms.SELECTOR,
            empty=True,
            at_start=True,
        ),
    ] = ""
    pods: Annotated[
        Literal["disabled", "insecure", "verified"],
        Key(
            "Names of pods by address (`10-1-0-7.NAMESPACE.pod.ZONE`): `disabled`: there are none; `insecure`: every "
            "address is answered as it was asked; `verified`: only those of living pods, which are then watched too.",
            why="they are not in the DNS specification; insecure lets anybody make names under the cluster's domain, "
            "verified costs a watch on every pod",
            at_start=True,
        ),
    ] = "disabled"
    endpoint_pod_names: Annotated[
        bool,
        Key(
            "Endpoints without a hostname are called after their pod, instead of their address.",
            why="names by address are what CoreDNS gives unless told otherwise",
            at_start=True,
        ),
    ] = False
    endpoints: Annotated[
        Literal["headless", "all"],
        Key(
            "Which EndpointSlices are watched: `headless`: those of headless Services, and those that another than "
            "Kubernetes' own controller keeps; `all`: every one, as also with `zone.compat` or "
            "`zone.ignore_empty_service`, and with manifests. A name that needs others (an endpoint's below a Service "
            "with a cluster IP, its address in reverse) is asked of `forward.cluster_dns`.",
            why="hardly anybody asks for such a name, and those slices are most of what changes in a cluster: watched "
            "by every node, they are what an API server can't bear",
            at_start=True,
        ),
    ] = "headless"
    noendpoints: Annotated[
        bool,
        Key(
            "EndpointSlices are not watched; headless Services and names of endpoints do not exist.",
            why="headless Services are half of what cluster DNS is for",
            at_start=True,
        ),
    ] = False
    ignore_empty_service: Annotated[
        bool,
        Key(
            "A Service with a cluster IP but no ready endpoint does not exist (NXDOMAIN), except in reverse.",
            why="a cluster IP is there whether or not somebody stands behind it, and search lists go on at NXDOMAIN",
            at_start=True,
        ),
    ] = False
    fallthrough: Annotated[
        tuple[str, ...],
        Key(
            'Zones in which a name that does not exist here is asked of the upstreams; `"."`: all own zones.',
            why="the reverse zones hold everybody's addresses, the cluster domain only the cluster's names",
            form=forms.FALLTHROUGH,
        ),
    ] = ("in-addr.arpa", "ip6.arpa")
    own_addresses: Annotated[
        tuple[str, ...],
        Key(
            "Addresses that the apex NS record leads to; empty: those of `listen`.",
            why="where the daemon listens is where it can be asked",
            form=forms.ADDRESS,
            at_start=True,
        ),
    ] = ()
    compat: Annotated[
        Literal["", "coredns"],
        Key(
            "`coredns`: answer as CoreDNS does, also where that goes against the DNS RFCs.",
            why="what breaks the RFCs is mended; who relies on one of CoreDNS's oddities finds it here",
            at_start=True,
        ),
    ] = ""
    ttl: Annotated[
        int,
        Key(
            "TTL of the records of the own zones. 0: clients are to keep nothing.",
            why="what CoreDNS gives; it bounds how long a client goes on with the address of a pod that is gone",
            unit="seconds",
            low=0,
            high=3600,
        ),
    ] = 5
    service_ttl: Annotated[int | None, _ttl("the addresses of Services with a cluster IP, and of the apex NS")] = None
    endpoint_ttl: Annotated[int | None, _ttl("the addresses of headless Services and of endpoints")] = None
    srv_ttl: Annotated[int | None, _ttl("SRV records")] = None
    ptr_ttl: Annotated[int | None, _ttl("PTR records")] = None
    external_ttl: Annotated[int | None, _ttl("the CNAME of ExternalName Services")] = None
    pod_ttl: Annotated[int | None, _ttl("pod names")] = None
    negative_ttl: Annotated[int | None, _ttl("the SOA in NXDOMAIN and NODATA, and its MINIMUM")] = None


class Cache(msgspec.Struct, frozen=True):
    """What is kept of the upstreams' answers, and how much is held ready to be sent."""

    finished_bytes: Annotated[
        int,
        Key(
            "Budget for answers that the packet path gives without asking anybody, own zones' and upstreams' alike; "
            "those without data get an eighth more.",
            why="some 170,000 answers; what does not fit is only dearer to answer",
            unit="bytes",
            low=0,
            high=1 << 36,
            at_start=True,
        ),
    ] = 32 * MIB
    positive_bytes: Annotated[
        int,
        Key(
            "Budget for answers with data; 0: none is kept.",
            why="some 40,000 answers, in memory that every node can spare",
            unit="bytes",
            low=0,
            high=1 << 36,
        ),
    ] = 32 * MIB
    negative_bytes: Annotated[
        int,
        Key(
            "Budget for NXDOMAIN and NODATA; 0: none is kept.",
            why="apart, and small: names that do not exist can be invented without end, and must not push out data",
            unit="bytes",
            low=0,
            high=1 << 36,
        ),
    ] = 4 * MIB
    failure_bytes: Annotated[
        int,
        Key(
            "Budget for questions that no upstream could answer; 0: none is kept.",
            why="a failure is asked for again within seconds or not at all",
            unit="bytes",
            low=0,
            high=1 << 36,
        ),
    ] = MIB
    max_ttl: Annotated[
        int,
        Key(
            "No answer with data is kept for longer.",
            why="a day; RFC 8767 section 4 allows a week at most",
            unit="seconds",
            low=0,
            high=604800,
        ),
    ] = 86400
    max_negative_ttl: Annotated[
        int,
        Key(
            "No NXDOMAIN or NODATA is kept for longer.",
            why="a name that was asked for too early should not stay away for the hours that many zones' SOA say "
            "(RFC 2308 section 5 allows three)",
            unit="seconds",
            low=0,
            high=86400,
        ),
    ] = 30
    min_ttl: Annotated[
        int,
        Key(
            "Answers with data are kept for at least so long, whatever their TTL. Above 0 this breaks RFC 1035.",
            why="the owner of a name says how long it may be kept",
            unit="seconds",
            low=0,
            high=300,
        ),
    ] = 0
    min_negative_ttl: Annotated[
        int,
        Key(
            "NXDOMAIN and NODATA are kept for at least so long, whatever the zone's SOA says. Above 0 this breaks "
            "RFC 2308.",
            why="a denial that its zone does not want kept is not kept",
            unit="seconds",
            low=0,
            high=300,
        ),
    ] = 0
    max_stale: Annotated[
        int,
        Key(
            "For how long past its TTL an answer may still be given, with TTL 30 and Extended DNS Error 3 or 19, while "
            "no upstream answers; 0: not at all (RFC 8767).",
            why="an hour of an upstream's outage goes by unnoticed; what is older is more likely wrong than of use",
            unit="seconds",
            low=0,
            high=259200,
        ),
    ] = 3600
    stale_after: Annotated[
        float,
        Key(
            "For how long an upstream is waited for before such an answer is given.",
            why="on a node an answer that takes longer is slow already; RFC 8767 has 1.8 s with the wide net in mind",
            unit="seconds",
            low=0,
            high=5,
        ),
    ] = 0.4
    failure_ttl: Annotated[
        int,
        Key(
            "For how long a question that no upstream could answer is not asked again; doubled with each failure in a "
            "row, up to 30.",
            why="the least that RFC 9520 section 3.2 allows",
            unit="seconds",
            low=0,
            high=30,
        ),
    ] = 1


class Tcp(msgspec.Struct, frozen=True):
    """Limits of DNS over TCP (RFC 7766, RFC 9210)."""

    max_connections: Annotated[
        int,
        Key(
            "Connections open at once. Where four fifths are taken, a new one costs the one that has been idle longest "
            "its place; where all are and none is idle, it is closed.",
            why="more than the pods of a node open when every answer is truncated; each costs a descriptor",
            low=1,
            high=65536,
            at_start=True,
        ),
    ] = 1024
    max_per_source: Annotated[
        int,
        Key(
            "Connections of one client address. Above it, new ones are closed.",
            why="a sixteenth of all: a client that leaks connections harms only itself",
            low=1,
            high=65536,
            at_start=True,
        ),
    ] = 64
    max_pipelined: Annotated[
        int,
        Key(
            "Questions of one connection that wait for their answer; the next is read when one has gone out.",
            why="resolvers that pipeline at all send a handful",
            low=1,
            high=65536,
            at_start=True,
        ),
    ] = 64
    message_timeout: Annotated[
        float,
        Key(
            "From the first octet of a message (or the connection's begin) to its last.",
            why="a message is one packet; whoever sends it octet by octet wants the connection, not the answer",
            unit="seconds",
            low=0.05,
            high=60,
            at_start=True,
        ),
    ] = 3.0
    idle_timeout: Annotated[
        float,
        Key(
            "A connection on which nothing is asked and nothing waits is closed after this.",
            why="RFC 7766 section 6.2.3 asks for the order of seconds",
            unit="seconds",
            low=0.05,
            high=600,
            at_start=True,
        ),
    ] = 10.0


class Log(msgspec.Struct, frozen=True):
    """What is written to the standard error stream."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Key(
            "The least level that is written; `debug` has every answer that is not given by the packet path alone.",
            why="what changed, and nothing for each query",
        ),
    ] = "info"
