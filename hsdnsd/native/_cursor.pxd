"""Names and records of a message, read where they stand."""

from libc.stdint cimport uint8_t, uint32_t

from hsdnsd.native._wire cimport MAX_NAME, folded

# A name, its pointers followed.
cdef struct Text:
    size_t size
    uint8_t octets[MAX_NAME]

# One record; `rdata` and `end` are offsets in the message.
cdef struct Record:
    Text owner
    unsigned int rtype
    unsigned int rclass
    uint32_t ttl
    size_t rdata
    size_t end

cdef struct Cursor:
    const uint8_t* wire
    size_t size
    size_t at

cdef size_t read_name_untrusted(const Cursor* cursor, size_t start, size_t end, Text* name) noexcept nogil
cdef bint read_record_untrusted(Cursor* cursor, Record* record) noexcept nogil


cdef inline bint is_same(const Text* name, const uint8_t* lower, size_t size) noexcept nogil:
    """Whether a name is this folded one."""
    cdef size_t at
    if name.size != size:
        return False
    for at in range(size):
        if folded(name.octets[at]) != lower[at]:
            return False
    return True


cdef inline bint is_within(const Text* lower, const Text* zone) noexcept nogil:
    """Whether a folded name is the zone's, or below it."""
    cdef size_t at = 0
    while lower.size - at > zone.size:
        at += <size_t>lower.octets[at] + 1
    return is_same(zone, lower.octets + at, lower.size - at)
