"""One finished answer as it lies in memory."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

cdef enum:
    IS_AUTHORITATIVE = 1  # AA
    IS_FIXED = 2  # TTLs are given as they stand; also to askers without RD
    IS_NEGATIVE = 4  # no records in the answer section
    IS_OVERSIZE = 8  # too long for any asker over UDP: TC for all, no records held
    IS_ASKED = 16  # somebody asked since the hand of the queue came by
    HAS_EDE = 32

cdef struct Entry:
    uint64_t hash
    uint64_t stamp  # of the owner's counter when it was put
    double made
    double expires
    double refresh_at
    Entry* newer
    Entry* older
    uint32_t owner  # place of the owner's counter
    uint32_t turn  # hits so far
    uint16_t an
    uint16_t ns
    uint16_t ar
    uint16_t body_size
    uint16_t ttl_count
    uint16_t rotate_at
    uint16_t rotate_count
    uint16_t rotate_size
    uint16_t key_size
    uint16_t ede  # info code of the Extended DNS Error
    uint8_t rcode
    uint8_t flags
    # Behind it in the same block: ttl_count offsets of 16 bits, key_size octets of key, body_size octets of body.


cdef inline uint16_t* ttls_of(Entry* entry) noexcept nogil:
    return <uint16_t*>(<uint8_t*>entry + sizeof(Entry))


cdef inline uint8_t* key_of(Entry* entry) noexcept nogil:
    return <uint8_t*>(ttls_of(entry) + entry.ttl_count)


cdef inline uint8_t* body_of(Entry* entry) noexcept nogil:
    return key_of(entry) + entry.key_size
