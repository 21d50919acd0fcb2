"""Names that are looked up as other names: the end of the name in the question is replaced before anything else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from hsdnsd.cache.store import Entry
from hsdnsd.errors import WireError
from hsdnsd.wire.answer import build_answer, rrsets
from hsdnsd.wire.const import MAX_NAME, RRType
from hsdnsd.wire.name import Name, is_within
from hsdnsd.wire.rrset import RRset


class Rewrites:
    """Suffixes and what stands for them. A name is rewritten once, so there is nothing that could go in a circle.

    Attributes:
        suffixes: folded; what lies below them is rewritten.
    """

    def __init__(self, suffixes: Mapping[Name, Name]) -> None:
        """
        Args:
            suffixes: folded names; of those that a name lies in the longest counts.
        """
        self._suffixes = tuple(sorted(suffixes.items(), key=lambda pair: -len(pair[0])))
        self.suffixes = tuple(suffixes)

    def apply(self, name: Name) -> Name | None:
        """The name that a folded name is looked up as: the same object, if none other; None: it would be too long."""
        if not name.endswith(self.suffixes):
            return name
        for suffix, replacement in self._suffixes:
            if is_within(name, suffix):
                final = Name(name[: len(name) - len(suffix)] + replacement)
                return final if len(final) <= MAX_NAME else None
        return name


def restored(answer: Iterable[RRset], final: Name, asked: Name) -> tuple[RRset, ...] | None:
    """An answer section for the name that was asked; None: it leads back to that name.

    Records of the name that it was looked up as get the asked name for their owner. Everything else, the targets of
    CNAME or SRV records too, stays: whoever follows them finds them under these names.

    Args:
        final, asked: folded.
    """
    renamed = []
    for rrset in answer:
        if asked in (rrset.name.lower(), rrset.rdatas[0].lower() if rrset.rtype == RRType.CNAME else None):
            return None
        if rrset.name.lower() == final:
            rrset = RRset(asked, rrset.rtype, rrset.ttl, rrset.rdatas)
        renamed.append(rrset)
    return tuple(renamed)


def renamed(entry: Entry, final: Name, asked: Name) -> Entry | None:
    """What the cache holds of the name that was looked up, for the name that was asked, good for as long.

    None: it leads back to the asked name, or would be larger than a message.

    Args:
        final, asked: folded.
    """
    known = entry.answer
    answer, authority = rrsets(known, final)
    records = restored(answer, final, asked)
    if records is None:
        return None
    try:
        built = build_answer(asked, known.rcode, records, authority)
    except WireError:
        return None
    return Entry(built, entry.kind, entry.stored, entry.expires)
