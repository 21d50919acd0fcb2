"""Messages for people. The only import of dnslib in the daemon; it sees only messages that we built ourselves."""

from __future__ import annotations

from typing import Final

from dnslib import DNSError, DNSRecord
from dnslib.label import DNSLabelError

# dnslib's time grows with the square of some messages' length; nobody reads more in a log anyway.
_MAX_SIZE: Final = 1232


def dump(wire: bytes) -> str:
    """A response of ours in the layout of dig, for the log at level debug; printable ASCII and line ends only.

    In hexadecimal if it is long, or if dnslib does not know what to make of it: binary labels (RFC 2181 section 11)
    and text that is not UTF-8 are beyond it.
    """
    if len(wire) > _MAX_SIZE:
        return f";; {len(wire)} octets: {wire[:_MAX_SIZE].hex()}..."
    try:
        text = str(DNSRecord.parse(wire))
    except (DNSError, DNSLabelError, UnicodeError) as error:
        return f";; {len(wire)} octets ({type(error).__name__}): {wire.hex()}"
    return "".join(char if char == "\n" or " " <= char <= "~" else f"\\{ord(char):03}" for char in text)
