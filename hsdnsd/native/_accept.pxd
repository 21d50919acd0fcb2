"""Plain replies of upstreams, and the answers that they give."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t

from hsdnsd.native._compress cimport MAX_BODY, MAX_RECORDS
from hsdnsd.native._names cimport Names

# TTLs in seconds, `hsdnsd.cache.policy.TtlLimits`.
cdef struct TtlLimits:
    uint32_t least
    uint32_t most
    uint32_t least_negative
    uint32_t most_negative

# As `hsdnsd.wire.answer.Answer`.
cdef struct Accepted:
    uint32_t ttl  # the least in `body`
    uint32_t keep  # seconds that it may be kept
    uint16_t an
    uint16_t ns
    uint16_t body_size
    uint16_t ttl_count
    uint16_t rotate_at
    uint16_t rotate_count
    uint16_t rotate_size
    uint8_t rcode
    bint has_opt
    uint16_t ttls[MAX_RECORDS]
    uint8_t body[MAX_BODY]

cdef bint accept_untrusted(
    const uint8_t* wire, size_t size, unsigned int id, const uint8_t* name, size_t name_size, unsigned int qtype,
    const Names* names, const TtlLimits* limits, Accepted* accepted
) noexcept nogil
