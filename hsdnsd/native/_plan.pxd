"""What the packet path may ask of upstreams by itself, as the engine grants it."""

from libc.stdint cimport uint8_t, uint32_t

from hsdnsd.native._accept cimport TtlLimits
from hsdnsd.native._datagrams cimport sockaddr_in6

cdef enum:
    MAX_SERVERS = 64
    MAX_CHOICE = 16

# `hsdnsd.native.flight_contract.Choice`.
cdef enum:
    FIRST = 0
    AT_RANDOM = 1
    IN_TURN = 2
    EXPLORING = 3

cdef struct Target:
    sockaddr_in6 address
    uint32_t size  # of the address
    int family

cdef struct Plan:
    double until  # granted before this time
    double patience  # seconds after which a flight is handed over
    uint8_t choice
    uint8_t count
    uint8_t servers[MAX_CHOICE]
    uint8_t edns[MAX_CHOICE]
    uint32_t turn
    uint32_t one_in  # EXPLORING: another than the first, so often
    bint no_aaaa
    uint32_t in_flight
    uint32_t waiters
    uint32_t per_client
    TtlLimits ttls
    Target targets[MAX_SERVERS]
