"""Hits served from a socket."""

from libc.stdint cimport uint8_t, uint64_t

from hsdnsd.native._datagrams cimport Lane
from hsdnsd.native._entry cimport Entry
from hsdnsd.native._gate cimport Question
from hsdnsd.native._table cimport Store

cdef enum:
    TYPE_PLACES = 16
    RCODE_PLACES = 16
    SIZE_PLACES = 9

cdef struct Sizes:
    uint64_t counts[SIZE_PLACES]
    uint64_t octets

# Hits of answers of upstreams (0) or own zones (1).
cdef struct Hits:
    uint64_t types[TYPE_PLACES]
    uint64_t rcodes[RCODE_PLACES]
    Sizes queries
    Sizes replies

cdef struct Server:
    Lane lane
    Store* store
    Question* questions
    Entry** candidates
    unsigned int* up  # numbers of the datagrams that go up
    unsigned int up_count
    bint is_due  # something in the table is due to be fetched again
    uint64_t hits
    uint64_t hits_do
    Hits by_zone[2]

cdef int open_server(Server* server, Store* store, sock, unsigned int size) except -1
cdef void close_server(Server* server) noexcept nogil
cdef void answer_batch(Server* server, int fd, double now) noexcept nogil
