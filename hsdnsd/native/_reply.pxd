"""Replies made of finished answers."""

from libc.stdint cimport uint8_t, uint32_t

from hsdnsd.native._entry cimport Entry
from hsdnsd.native._gate cimport Question
from hsdnsd.native._wire cimport EDNS_UDP_SIZE

cdef enum:
    MAX_REPLY = EDNS_UDP_SIZE

cdef bint may_hold(Entry* entry, const Question* question) noexcept nogil

cdef size_t write_reply(
    Entry* entry, const Question* question, const uint8_t* query, uint32_t turn, uint32_t age, uint8_t* out
) noexcept nogil
