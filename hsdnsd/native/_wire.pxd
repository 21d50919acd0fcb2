"""Numbers of the DNS protocol (`hsdnsd.wire.const`), and how octets tell them."""

from libc.stdint cimport uint8_t, uint32_t

cdef enum:
    HEADER_SIZE = 12
    OPT_SIZE = 11  # an OPT record without options
    EDE_SIZE = 6  # an Extended DNS Error without text (RFC 8914 section 2)
    OPTION_EDE = 15
    MAX_NAME = 255
    MAX_LABEL = 63
    MAX_TTL = 0x7FFFFFFF
    PLAIN_UDP_SIZE = 512
    EDNS_UDP_SIZE = 1232
    CLASS_IN = 1

# TYPEs.
cdef enum:
    CNAME = 5
    SOA = 6
    OPT = 41
    RRSIG = 46
    NSEC = 47
    NSEC3 = 50
    NXNAME = 128

# Header flags, OPCODE, and the flag of an OPT.
cdef enum:
    QR = 0x8000
    OPCODE = 0x7800
    AA = 0x0400
    TC = 0x0200
    RD = 0x0100
    RA = 0x0080
    AD = 0x0020
    CD = 0x0010
    RCODE = 0x000F
    DO = 0x8000

cdef enum:
    NOERROR = 0
    NXDOMAIN = 3


cdef inline unsigned int u16(const uint8_t* at) noexcept nogil:
    return (<unsigned int>at[0] << 8) | at[1]


cdef inline uint32_t u32(const uint8_t* at) noexcept nogil:
    return (<uint32_t>at[0] << 24) | (<uint32_t>at[1] << 16) | (<uint32_t>at[2] << 8) | at[3]


cdef inline void put16(uint8_t* at, unsigned int value) noexcept nogil:
    at[0] = <uint8_t>(value >> 8)
    at[1] = <uint8_t>value


cdef inline void put32(uint8_t* at, uint32_t value) noexcept nogil:
    at[0] = <uint8_t>(value >> 24)
    at[1] = <uint8_t>(value >> 16)
    at[2] = <uint8_t>(value >> 8)
    at[3] = <uint8_t>value


cdef inline uint8_t folded(uint8_t octet) noexcept nogil:
    """Lower case of an ASCII letter (RFC 4343); a length octet is below 64, so none is taken for a letter."""
    return octet + (<uint8_t>(<uint8_t>(octet - 65) < 26) << 5)


cdef inline void fold(const uint8_t* name, size_t size, uint8_t* out) noexcept nogil:
    cdef size_t at
    for at in range(size):
        out[at] = folded(name[at])
