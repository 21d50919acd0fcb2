"""The plain good case of a query, recognised with certainty; all else goes up (twin: `_gate_py`).

Raw memory is read here at places that a stranger's packet names: each read is behind a comparison with `size`.
"""

from libc.stdint cimport uint8_t, uint16_t

from hsdnsd.native._wire cimport (
    AD, CD, CLASS_IN, DO, EDNS_UDP_SIZE, HEADER_SIZE, MAX_LABEL, MAX_NAME, NXNAME, OPT, OPT_SIZE, PLAIN_UDP_SIZE, RD,
    fold, u16
)

cdef enum:
    MAX_OPTIONS = 64


cdef bint is_special(unsigned int qtype) noexcept nogil:
    """QTYPEs whose answer is not data of one name and type (W17 to W20 of docs/gate.md)."""
    return qtype == 0 or qtype == OPT or qtype == NXNAME or 249 <= qtype <= 255


cdef inline bint _is_harmless(unsigned int option) noexcept nogil:
    """NSID, client subnet, cookie, padding: a server need do nothing about them (RFC 5001, 7871, 7873, 7830)."""
    return option == 3 or option == 8 or option == 10 or option == 12


cdef inline size_t _name_size(const uint8_t* name, size_t size) noexcept nogil:
    """Octets of the name at the beginning of `size` octets, the root's included; 0 if it is none, or has a pointer."""
    cdef size_t at = 0
    cdef uint8_t label
    while at < size and at < MAX_NAME:
        label = name[at]
        if label == 0:
            return at + 1
        if label > MAX_LABEL:
            return 0
        at += 1 + label
    return 0


cdef inline bint _options_are_harmless(const uint8_t* options, size_t size) noexcept nogil:
    """Whether the options fill `size` octets exactly, are not more than MAX_OPTIONS, and may all be ignored."""
    cdef size_t at = 0
    cdef int count = 0
    while at < size:
        if size - at < 4 or count == MAX_OPTIONS or not _is_harmless(u16(options + at)):
            return False
        at += 4 + u16(options + at + 2)
        count += 1
    return at == size


cdef inline bint _read_opt(const uint8_t* opt, size_t size, Question* question) noexcept nogil:
    """The OPT record of version 0 that `size` octets are, no more and no less (RFC 6891 section 6.1)."""
    cdef unsigned int flags, offered
    if size < OPT_SIZE or opt[0] != 0 or u16(opt + 1) != OPT or opt[5] != 0 or opt[6] != 0:
        return False
    flags = u16(opt + 7)
    if flags & ~<unsigned int>DO or u16(opt + 9) != size - OPT_SIZE:
        return False
    if not _options_are_harmless(opt + OPT_SIZE, size - OPT_SIZE):
        return False
    offered = u16(opt + 3)
    question.has_opt = 1
    question.limit = min(max(offered, <unsigned int>PLAIN_UDP_SIZE), <unsigned int>EDNS_UDP_SIZE)
    if flags:
        question.asked |= DO_BIT
    return True


cdef bint read_question(const uint8_t* wire, size_t size, Question* question) noexcept nogil:
    """Fill in everything of `question` but the hash; False: not the plain good case."""
    cdef unsigned int flags
    cdef size_t name_size, at
    cdef uint8_t* behind_name
    if size < HEADER_SIZE:
        return False
    flags = u16(wire + 2)
    if flags & ~<unsigned int>(RD | AD | CD) or u16(wire + 4) != 1:
        return False
    if u16(wire + 6) != 0 or u16(wire + 8) != 0 or u16(wire + 10) > 1:
        return False
    name_size = _name_size(wire + HEADER_SIZE, size - HEADER_SIZE)
    at = HEADER_SIZE + name_size
    if name_size == 0 or size - at < 4 or u16(wire + at + 2) != CLASS_IN:
        return False
    question.qtype = <uint16_t>u16(wire + at)
    question.octets = <uint16_t>(name_size + 4)
    question.limit = PLAIN_UDP_SIZE
    question.asked = CD_BIT if flags & CD else 0
    question.rd = (flags & RD) != 0
    question.has_opt = 0
    if is_special(question.qtype):
        return False
    if wire[11] == 0:
        if size - at != 4:
            return False
    elif not _read_opt(wire + at + 4, size - at - 4, question):
        return False
    fold(wire + HEADER_SIZE, name_size, question.key)
    behind_name = question.key + name_size
    behind_name[0] = wire[at]
    behind_name[1] = wire[at + 1]
    behind_name[2] = question.asked
    question.key_size = <uint16_t>(name_size + 3)
    return True
