"""One served UDP socket: what Batch and Worker have in common."""

from hsdnsd.native._datagrams cimport Lane
from hsdnsd.native._serve cimport Server
from hsdnsd.native._table cimport Table

cdef class Endpoint:
    cdef Server server  # reads, and answers hits
    cdef Lane replies  # sends what Python answers
    cdef Lane* aside  # sends what other threads answer; NULL: they don't
    cdef Table table
    cdef object sock

cdef bint is_of_the_network(int problem) noexcept nogil
