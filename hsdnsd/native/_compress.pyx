"""Records of an answer, octet for octet as `hsdnsd.wire.compress` and `hsdnsd.wire.answer` write them.

Whatever returns False has found no room, and nothing that was written counts.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.string cimport memcmp, memcpy

from hsdnsd.native._rdata cimport Layout, layout_of
from hsdnsd.native._wire cimport CLASS_IN, HEADER_SIZE, MAX_NAME, fold, put16, put32

cdef enum:
    MAX_DEPTH = 8  # `_MAX_POINTERS` of hsdnsd.wire.compress


cdef bint open_writer(
    Writer* writer, uint8_t* body, uint16_t* ttls, const uint8_t* name, size_t name_size
) noexcept nogil:
    """Begin what stands behind the question for a folded name."""
    writer.body = body
    writer.ttls = ttls
    writer.begin = HEADER_SIZE + name_size + 4
    writer.size = writer.ttl_count = 0
    writer.ttl = 0xFFFFFFFF
    writer.text_size = writer.ending_count = 0
    return _remember(writer, name, name_size, name_size, HEADER_SIZE, 0)


cdef bint put_record(
    Writer* writer, const Text* owner, unsigned int rtype, uint32_t ttl, const uint8_t* rdata, size_t size
) noexcept nogil:
    """Write a record of class IN, its rdata given with names uncompressed."""
    cdef uint8_t head[8]
    if writer.ttl_count == MAX_RECORDS or not _put_name(writer, owner.octets, owner.size):
        return False
    put16(head, rtype)
    put16(head + 2, CLASS_IN)
    put32(head + 4, ttl)
    writer.ttls[writer.ttl_count] = writer.size + 4
    writer.ttl_count += 1
    writer.ttl = min(writer.ttl, ttl)
    return _put(writer, head, 8) and _put_rdata(writer, layout_of(rtype), rdata, size)


cdef bint _put_rdata(Writer* writer, const Layout* layout, const uint8_t* rdata, size_t size) noexcept nogil:
    """RDLENGTH and rdata, its names compressed where that is allowed."""
    cdef size_t begin = writer.size, start = 0, end
    cdef uint8_t length[2]
    cdef unsigned int _number
    put16(length, 0)
    if not _put(writer, length, 2):
        return False
    if layout.compressed:
        start = layout.prefix
        if not _put(writer, rdata, start):
            return False
        for _number in range(layout.names):
            end = start
            while rdata[end] != 0:
                end += <size_t>rdata[end] + 1
            end += 1
            if not _put_name(writer, rdata + start, end - start):
                return False
            start = end
    if not _put(writer, rdata + start, size - start):
        return False
    put16(writer.body + begin, <unsigned int>(writer.size - begin - 2))
    return True


cdef bint _put_name(Writer* writer, const uint8_t* name, size_t size) noexcept nogil:
    """Write a name, its ending as a pointer where it stands already."""
    cdef uint8_t lower[MAX_NAME]
    cdef uint8_t pointer[2]
    cdef const Ending* found = NULL
    cdef size_t start = 0, at = writer.begin + writer.size
    fold(name, size, lower)
    while lower[start] != 0:
        found = _find_ending(writer, lower + start, size - start)
        if found != NULL:
            break
        start += <size_t>lower[start] + 1
    if found == NULL or (start and found.depth + 1 >= MAX_DEPTH):
        # Spelled out also where one pointer more would lead whatever points here too deep.
        return _remember(writer, lower, size, size, at, 0) and _put(writer, name, size)
    put16(pointer, 0xC000 | found.offset)
    return (
        _remember(writer, lower, size, start, at, found.depth + 1)
        and _put(writer, name, start)
        and _put(writer, pointer, 2)
    )


cdef const Ending* _find_ending(const Writer* writer, const uint8_t* lower, size_t size) noexcept nogil:
    """Where an ending stands; of several places the last that was remembered."""
    cdef unsigned int number = writer.ending_count
    cdef const Ending* ending
    while number:
        number -= 1
        ending = &writer.endings[number]
        if ending.size == size and memcmp(writer.text + ending.text, lower, size) == 0:
            return ending
    return NULL


cdef bint _remember(
    Writer* writer, const uint8_t* lower, size_t size, size_t shown, size_t at, uint8_t depth
) noexcept nogil:
    """Remember the endings of a folded name that begin in its first `shown` octets, which stand at `at`."""
    cdef size_t start = 0
    cdef Ending* ending
    if shown == 0 or lower[0] == 0:
        return True
    if size > MAX_TEXT - writer.text_size:
        return False
    memcpy(writer.text + writer.text_size, lower, size)
    while start < shown and lower[start] != 0:
        if writer.ending_count == MAX_ENDINGS:
            return False
        ending = &writer.endings[writer.ending_count]
        ending.text = <uint16_t>(writer.text_size + start)
        ending.size = <uint8_t>(size - start)
        ending.depth = depth
        ending.offset = <uint16_t>(at + start)
        writer.ending_count += 1
        start += <size_t>lower[start] + 1
    writer.text_size += size
    return True


cdef bint _put(Writer* writer, const uint8_t* octets, size_t size) noexcept nogil:
    if size > <size_t>MAX_BODY - writer.size:
        return False
    memcpy(writer.body + writer.size, octets, size)
    writer.size += <uint16_t>size
    return True
