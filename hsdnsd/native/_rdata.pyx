"""Rdata of a stranger's records, its names expanded, by the layouts of `hsdnsd.wire.rdata`."""

from libc.stdint cimport uint8_t
from libc.string cimport memcpy, memset

from hsdnsd.native._cursor cimport Text, read_name_untrusted

from hsdnsd.wire.rdata import LAYOUTS, SIZES

cdef enum:
    LAYOUT_TYPES = 64

# By TYPE; the last place is for all types above.
cdef Layout[LAYOUT_TYPES + 1] _LAYOUTS


cdef int _read_layouts() except -1:
    cdef Layout* layout
    memset(_LAYOUTS, 0, sizeof(_LAYOUTS))
    if max(*LAYOUTS, *SIZES) >= LAYOUT_TYPES:
        raise ImportError("a TYPE with names in its rdata, or of fixed size, has no place in the table")
    for rtype, known in LAYOUTS.items():
        layout = &_LAYOUTS[<int>rtype]
        layout.has_names = True
        layout.compressed = known.compressed
        layout.prefix = known.prefix
        layout.strings = known.strings
        layout.names = known.names
        layout.suffix = known.suffix
    for rtype, size in SIZES.items():
        _LAYOUTS[<int>rtype].fixed = size
    return 0


_read_layouts()


cdef const Layout* layout_of(unsigned int rtype) noexcept nogil:
    return &_LAYOUTS[rtype if rtype < LAYOUT_TYPES else LAYOUT_TYPES]


cdef size_t expand_untrusted(const Cursor* cursor, const Record* record, uint8_t* out, size_t room) noexcept nogil:
    """Write rdata with its names uncompressed into `out`; its size plus 1, or 0: not well-formed, or no room."""
    cdef const uint8_t* wire = cursor.wire
    cdef const Layout* layout = layout_of(record.rtype)
    cdef size_t at = record.rdata, size = record.end - record.rdata, written
    cdef Text name
    cdef unsigned int _number
    if not layout.has_names:
        if (layout.fixed and size != layout.fixed) or size > room:
            return 0
        memcpy(out, wire + at, size)
        return size + 1
    at += layout.prefix
    for _number in range(layout.strings):
        if at >= record.end:
            return 0
        at += <size_t>wire[at] + 1
    if at > record.end or at - record.rdata > room:
        return 0
    written = at - record.rdata
    memcpy(out, wire + record.rdata, written)
    for _number in range(layout.names):
        at = read_name_untrusted(cursor, at, record.end, &name)
        if at == 0 or name.size > room - written:
            return 0
        memcpy(out + written, name.octets, name.size)
        written += name.size
    if at + layout.suffix != record.end or layout.suffix > room - written:
        return 0
    memcpy(out + written, wire + at, layout.suffix)
    return written + layout.suffix + 1
