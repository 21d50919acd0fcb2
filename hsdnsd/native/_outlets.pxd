"""Sockets that messages to upstreams leave from: one for each message, each time from another port."""

from libc.stdint cimport uint16_t, uint32_t

from hsdnsd.native._plan cimport Target

cdef enum:
    # What is watched for a thread beside them has smaller tokens.
    TOKENS = 16

cdef struct Outlet:
    int fd  # below 0: not open
    uint32_t flight  # 0: idle
    uint32_t next  # in its stack
    uint16_t family

# Those of one thread. Each stays open and watched by the thread between its flights.
cdef struct Outlets:
    Outlet* all  # number 0 is nobody's
    uint32_t fresh  # from here on none has been used
    uint32_t size
    uint32_t unopened
    uint32_t open_count
    uint32_t idle[2]  # by family: IPv6
    uint32_t idle_count
    int epoll

cdef bint drain(int fd) noexcept nogil
cdef bint open_outlets(Outlets* outlets, int epoll, uint32_t most) noexcept nogil
cdef void close_outlets(Outlets* outlets) noexcept nogil
cdef uint32_t take_outlet(Outlets* outlets, const Target* target, uint32_t flight) noexcept nogil
cdef void put_back(Outlets* outlets, uint32_t number) noexcept nogil
cdef int give_away(Outlets* outlets, uint32_t number) noexcept nogil
