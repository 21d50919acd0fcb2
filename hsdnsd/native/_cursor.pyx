"""Names and records of a stranger's message.

Raw memory is read here at places that a packet names: each read is behind a comparison with what there is.
"""

from libc.stdint cimport uint8_t
from libc.string cimport memcpy

from hsdnsd.native._wire cimport HEADER_SIZE, MAX_LABEL, MAX_NAME, u16, u32

cdef enum:
    MAX_POINTERS = 8  # `hsdnsd.wire.const` allows more


cdef bint read_record_untrusted(Cursor* cursor, Record* record) noexcept nogil:
    """The record at the cursor, which goes on behind it; False: there is none that is plain."""
    cdef size_t at = read_name_untrusted(cursor, cursor.at, cursor.size, &record.owner)
    if at == 0 or cursor.size - at < 10:
        return False
    record.rtype = u16(cursor.wire + at)
    record.rclass = u16(cursor.wire + at + 2)
    record.ttl = u32(cursor.wire + at + 4)
    record.rdata = at + 10
    record.end = record.rdata + u16(cursor.wire + at + 8)
    cursor.at = record.end
    return record.end <= cursor.size


cdef size_t read_name_untrusted(const Cursor* cursor, size_t start, size_t end, Text* name) noexcept nogil:
    """The name at `start`, and what is behind it, not over `end`; 0: there is none, or none that is plain."""
    cdef const uint8_t* wire = cursor.wire
    cdef size_t at = start, after = 0, limit = end, target
    cdef unsigned int pointers = 0, length
    name.size = 0
    while at < limit:
        length = wire[at]
        if length == 0:
            if name.size == MAX_NAME:
                return 0
            name.octets[name.size] = 0
            name.size += 1
            return after if pointers else at + 1
        if length >= 0xC0:
            if at + 2 > limit:
                return 0
            target = u16(wire + at) & 0x3FFF
            if target < HEADER_SIZE or target >= start or pointers == MAX_POINTERS:
                return 0
            if pointers == 0:
                after = at + 2
            pointers += 1
            # From here on only further back.
            start = at = target
            limit = cursor.size
            continue
        if length > MAX_LABEL or at + 1 + length > limit or name.size + 1 + length > MAX_NAME:
            return 0
        memcpy(name.octets + name.size, wire + at, 1 + length)
        name.size += 1 + length
        at += 1 + length
    return 0
