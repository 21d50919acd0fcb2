"""The table [local] of the configuration, as in `hsdnsd.config_tables`."""

from __future__ import annotations

from typing import Annotated

import msgspec

from hsdnsd import forms
from hsdnsd.schema import Key


class Local(msgspec.Struct, frozen=True):
    """Names that are answered here whatever the upstreams would say, or under another name. Who has the say: first a
    rewrite, by whose outcome all else goes; then the hosts file; the own zones, but for a stub zone inside one; special
    names and private reverse zones, but for those that lie in a stub zone; `no_aaaa`; stub zones and upstreams."""

    special_names: Annotated[
        bool,
        Key(
            "`localhost` and all names below it are 127.0.0.1 and ::1; in `invalid` and `onion` there are no names. A "
            'stub zone that holds one wins. Off with `zone.compat = "coredns"`.',
            why="RFC 6761 and 7686 ask it of every resolver, and nobody else knows better",
        ),
    ] = True
    private_reverse: Annotated[
        bool,
        Key(
            "Reverse names of addresses that are nobody's alone (RFC 6303, 7793: private, link-local, documentation, "
            "carrier-grade NAT) are not asked of the upstreams: what the cluster does not have does not exist, and "
            "127.0.0.1 and ::1 are `localhost`. A stub zone that holds one (`10.in-addr.arpa`) wins, over the cluster "
            'too. Off with `zone.compat = "coredns"`.',
            why="nearly all reverse questions in a cluster are for such addresses, and no public server has an answer; "
            "where the upstreams are a network's own and know its addresses, false is right",
        ),
    ] = True
    hosts_file: Annotated[
        str,
        Key(
            "A file in the format of hosts(5): addresses of names, and for each address the first of its names. A name "
            "that is in it has nothing else: other types are NODATA. It is looked at every 2 seconds; a broken line is "
            "left out and told in the log; while the file can't be read, what was read before holds. "
            '`""`: there is none.',
            why="the node's /etc/hosts is meant for the node, and not for its pods",
            form=forms.PATH,
            empty=True,
        ),
    ] = ""
    hosts_ttl: Annotated[
        int,
        Key(
            "TTL of what is in the hosts file.",
            why="a change is seen by everybody within half a minute; the hour that CoreDNS gives would keep a mistake "
            "alive that long, and asking again costs next to nothing on one node",
            unit="seconds",
            low=0,
            high=86400,
        ),
    ] = 30
    rewrite: Annotated[
        dict[str, str],
        Key(
            'Ends of names that are looked up as others: with `"old.example" = "svc.cluster.local"` a question for '
            "`db.shop.old.example` is answered as one for `db.shop.svc.cluster.local` would be, by whoever has the say "
            "on that. The longest match counts, and a name is rewritten once. What the other name has comes back under "
            "the name that was asked; the targets of CNAME, SRV and other records, and the SOA of a denial, stay as "
            "they are.",
            why="nobody has any until they say so",
            form=forms.REWRITTEN,
            name_form=forms.REWRITE,
        ),
    ] = {}
    no_aaaa: Annotated[
        bool,
        Key(
            "Names that upstreams would be asked for have no AAAA records: NODATA, without asking. Names that are "
            "answered here keep theirs.",
            why="only who runs the network knows that nothing outside of it can be reached over IPv6",
        ),
    ] = False
