"""Rdata: where names stand in it."""

from libc.stdint cimport uint8_t

from hsdnsd.native._cursor cimport Cursor, Record

# `hsdnsd.wire.rdata.Layout`, and `SIZES`.
cdef struct Layout:
    bint has_names
    bint compressed
    uint8_t prefix
    uint8_t strings
    uint8_t names
    uint8_t suffix
    uint8_t fixed  # the one size that it may have; 0: any

cdef const Layout* layout_of(unsigned int rtype) noexcept nogil
cdef size_t expand_untrusted(const Cursor* cursor, const Record* record, uint8_t* out, size_t room) noexcept nogil
