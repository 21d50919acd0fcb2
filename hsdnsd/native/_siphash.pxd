"""SipHash-1-3: a hash that an asker who does not know the key can't aim at one bucket (hash flooding)."""

from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memcpy


cdef inline uint64_t _rotate(uint64_t word, int bits) noexcept nogil:
    return (word << bits) | (word >> (64 - bits))


cdef inline void _round(uint64_t* v) noexcept nogil:
    v[0] += v[1]
    v[2] += v[3]
    v[1] = _rotate(v[1], 13) ^ v[0]
    v[3] = _rotate(v[3], 16) ^ v[2]
    v[0] = _rotate(v[0], 32)
    v[2] += v[1]
    v[0] += v[3]
    v[1] = _rotate(v[1], 17) ^ v[2]
    v[3] = _rotate(v[3], 21) ^ v[0]
    v[2] = _rotate(v[2], 32)


cdef inline uint64_t _word(const uint8_t* data) noexcept nogil:
    """Eight octets as a number, in the order of the machine (the reference: little-endian)."""
    cdef uint64_t word
    memcpy(&word, data, 8)
    return word


cdef inline uint64_t siphash(uint64_t k0, uint64_t k1, const uint8_t* data, size_t size) noexcept nogil:
    """Hash of `size` octets under the key (k0, k1)."""
    cdef uint64_t v[4]
    cdef uint64_t word
    cdef size_t at = 0, rest
    v[0] = k0 ^ 0x736f6d6570736575ULL
    v[1] = k1 ^ 0x646f72616e646f6dULL
    v[2] = k0 ^ 0x6c7967656e657261ULL
    v[3] = k1 ^ 0x7465646279746573ULL
    while size - at >= 8:
        word = _word(data + at)
        v[3] ^= word
        _round(v)
        v[0] ^= word
        at += 8
    word = <uint64_t>(size & 0xFF) << 56
    for rest in range(size - at):
        word |= <uint64_t>data[at + rest] << (8 * rest)
    v[3] ^= word
    _round(v)
    v[0] ^= word
    v[2] ^= 0xFF
    _round(v)
    _round(v)
    _round(v)
    return v[0] ^ v[1] ^ v[2] ^ v[3]
