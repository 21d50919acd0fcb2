"""The OPT pseudo-record (RFC 6891): reading the options of a query's, writing ours. Hop by hop: nothing is echoed."""

from __future__ import annotations

import struct
from typing import Final

from hsdnsd.errors import WireError
from hsdnsd.wire.const import DO, EDNS_UDP_SIZE, MAX_EDNS_OPTIONS, RRType

OPTION_KEEPALIVE: Final = 11  # RFC 7828
OPTION_PADDING: Final = 12  # RFC 7830
OPTION_EDE: Final = 15  # RFC 8914

_OPTION: Final = struct.Struct("!HH")
_OPT: Final = struct.Struct("!BHHBBHH")  # root, TYPE, UDP size, upper bits of the RCODE, version, flags, RDLENGTH
_U16_OPTION: Final = struct.Struct("!HHH")

# Octets of an OPT without options.
OPT_SIZE: Final = _OPT.size

# Idle time of a TCP connection, in units of 100 ms: 10 s (RFC 7828 section 3.1).
KEEPALIVE: Final = _U16_OPTION.pack(OPTION_KEEPALIVE, 2, 100)


def opt(do: bool, options: bytes = b"", *, upper_rcode: int = 0, udp_size: int = EDNS_UDP_SIZE) -> bytes:
    """An OPT record of version 0; `upper_rcode` is bits 4 to 11 of the RCODE. Cannot fail."""
    return _OPT.pack(0, RRType.OPT, udp_size, upper_rcode, 0, DO if do else 0, len(options)) + options


def ede(info_code: int) -> bytes:
    """An Extended DNS Error option without text (RFC 8914 section 2)."""
    return _U16_OPTION.pack(OPTION_EDE, 2, info_code)


def padding(size: int, block: int) -> bytes:
    """A padding option that makes a message of `size` octets a multiple of `block` octets long (RFC 7830)."""
    zeros = -(size + _OPTION.size) % block
    return _OPTION.pack(OPTION_PADDING, zeros) + bytes(zeros)


def read_options_untrusted(wire: bytes, start: int, end: int) -> bool:
    """Walk a query's options; returns whether an edns-tcp-keepalive is among them. Every other option is ignored.

    Raises:
        WireError: an option reaches past the end, there are too many, or the keepalive is not empty, as RFC 7828
            section 3.2.1 wants it of a client; of several keepalives the first counts.
    """
    keepalive = False
    for _ in range(MAX_EDNS_OPTIONS):
        if start == end:
            return keepalive
        if start + 4 > end:
            raise WireError("option is cut off", start)
        code, length = _OPTION.unpack_from(wire, start)
        if code == OPTION_KEEPALIVE and not keepalive:
            if length:
                raise WireError("edns-tcp-keepalive of a query is not empty", start)
            keepalive = True
        start += 4 + length
    if start != end:
        raise WireError("too many options, or the last is cut off", start)
    return keepalive
