"""The table [forward]: whom names are asked of that are not answered here, how, and how many at once."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from hsdnsd import forms
from hsdnsd.schema import Key


class Forward(msgspec.Struct, frozen=True):
    """Where every other name is asked."""

    upstreams: Annotated[
        tuple[str, ...],
        Key(
            "The servers, port 53 unless another is given; empty: the nameservers of `forward.resolv_conf`. "
            "`tls://1.1.1.1@cloudflare-dns.com`: over TLS, port 853, the certificate being for that name. "
            "`svc://kube-dns-upstream.kube-system`: the cluster IPs of a Service, or a headless one's ready endpoints, "
            "as they change; port as given, else the Service's UDP port named dns.",
            why="the node's resolvers are right on nearly every node",
            form=forms.UPSTREAM,
        ),
    ] = ()
    resolv_conf: Annotated[
        str,
        Key(
            "Where the servers are read from if `forward.upstreams` is empty, and again when it changes; "
            '`""`: nothing is forwarded.',
            why="where every resolver of the system looks",
            form=forms.PATH,
            empty=True,
        ),
    ] = "/etc/resolv.conf"
    cluster_dns: Annotated[
        tuple[str, ...],
        Key(
            "The cluster's own DNS, in the form of `forward.upstreams`: asked for names of the own zones that can't be "
            "answered here. Those are all names that are not known before the API server has been heard, and with "
            '`zone.endpoints = "headless"` those of other endpoints, addresses included. Empty: the former are '
            "SERVFAIL, the latter do not exist.",
            why="its address is the cluster's own choice",
            form=forms.UPSTREAM,
        ),
    ] = ()
    stub_zones: Annotated[
        dict[str, tuple[str, ...]],
        Key(
            'Zones with servers of their own: `"corp.example" = ["10.0.0.53"]`. The longest match counts.',
            why="nobody has any until they say so",
            form=forms.UPSTREAM,
            name_form=forms.STUB_ZONE,
        ),
    ] = {}
    policy: Annotated[
        Literal["sequential", "random", "round_robin", "fastest"],
        Key(
            "Which of several servers is asked first: in the order of the configuration, by chance, each in turn, or "
            "the one that answers soonest (one question in 32 goes to another, so that its time stays known).",
            why="the order in which resolv.conf names them means something to whoever wrote it",
        ),
    ] = "sequential"
    transport: Annotated[
        Literal["prefer_udp", "force_tcp"],
        Key(
            "`prefer_udp`: over UDP, and over TCP what comes back truncated or doubtful; `force_tcp`: all over TCP.",
            why="over UDP an answer takes one round trip, and each question has a port of its own",
        ),
    ] = "prefer_udp"
    tls_ca: Annotated[
        str,
        Key(
            'A file of PEM certificates: who may vouch for upstreams over TLS; `""`: the authorities of the system.',
            why="public resolvers have certificates of public authorities",
            form=forms.PATH,
            empty=True,
        ),
    ] = ""
    mix_case: Annotated[
        bool,
        Key(
            "Names are asked in capitals and small letters at random, and a reply that spells them otherwise is not "
            "believed (0x20).",
            why="port and id are 32 bits of chance already, and some servers do not keep the case",
        ),
    ] = False
    max_fails: Annotated[
        int,
        Key(
            "Time-outs or refusals in a row after which a server is asked last; 0: never.",
            why="one name that nobody can answer times out too, and is not the server's fault",
            low=0,
            high=1000,
        ),
    ] = 3
    deadline: Annotated[
        float,
        Key(
            "For one question of a client, everything included; then it is answered SERVFAIL.",
            why="glibc and musl give up on a server after 5 s; an answer that comes later is work for nobody",
            unit="seconds",
            low=0.1,
            high=60,
        ),
    ] = 4.0
    attempt_timeout: Annotated[
        float,
        Key(
            "For one attempt; then the next server, or the same one again, is asked.",
            why="three attempts fit into the deadline, and few honest answers take longer",
            unit="seconds",
            low=0.05,
            high=60,
        ),
    ] = 1.2
    loop_probe_after: Annotated[
        float,
        Key(
            "How long after its start the daemon first asks each upstream for a name that only it can know, to see "
            "whether the question comes back; then every ten minutes.",
            why="what starts together with the daemon is up by then; until then a loop costs six messages a question",
            unit="seconds",
            low=0,
            high=3600,
            at_start=True,
        ),
    ] = 20.0
    max_in_flight: Annotated[
        int,
        Key(
            "Questions that upstreams have been asked and have not answered. Above it: SERVFAIL at once.",
            why="each holds a socket for up to the deadline; 4,096 allow 1,000 a second with every upstream dead",
            low=1,
            high=65536,
        ),
    ] = 4096
    max_waiters: Annotated[
        int,
        Key(
            "Clients that wait for the answer to one and the same question. Above it: SERVFAIL at once.",
            why="more than all pods of a node ask for one name at one time; bounds memory when a popular name hangs",
            low=1,
            high=65536,
        ),
    ] = 1024
    max_per_client: Annotated[
        int,
        Key(
            "Questions of one client address that wait for upstreams. Above it: SERVFAIL at once.",
            why="one client can take up a sixteenth of max_in_flight and no more",
            low=1,
            high=65536,
        ),
    ] = 256
