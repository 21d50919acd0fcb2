# cython: cdivision=True
"""Replies made of finished answers, octet for octet what `hsdnsd.wire.answer.render` makes."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.string cimport memcpy

from hsdnsd.native._entry cimport HAS_EDE, IS_AUTHORITATIVE, IS_FIXED, IS_OVERSIZE, body_of, ttls_of
from hsdnsd.native._gate cimport DO_BIT
from hsdnsd.native._wire cimport (
    AA, CD, DO, EDE_SIZE, HEADER_SIZE, OPT, OPT_SIZE, OPTION_EDE, QR, RA, RD, TC, put16, put32, u32
)


cdef inline void _age(uint8_t* ttl, uint32_t age) noexcept nogil:
    """Take `age` seconds off a TTL, not below 0."""
    cdef uint32_t left = u32(ttl)
    put32(ttl, left - age if left > age else 0)


cdef inline void _write_opt(uint8_t* at, bint do) noexcept nogil:
    """The OPT of every reply: root, size 1232, version 0, DO as asked, no options."""
    at[0] = 0
    put16(at + 1, OPT)
    put16(at + 3, MAX_REPLY)
    put16(at + 5, 0)
    put16(at + 7, DO if do else 0)
    put16(at + 9, 0)


cdef inline void _write_ede(uint8_t* opt, uint16_t info_code) noexcept nogil:
    """Put an Extended DNS Error into an OPT without options."""
    put16(opt + 9, EDE_SIZE)
    put16(opt + 11, OPTION_EDE)
    put16(opt + 13, EDE_SIZE - 4)
    put16(opt + 15, info_code)


cdef inline void _copy_rotated(Entry* entry, uint32_t turn, uint8_t* out) noexcept nogil:
    """The body, its rotating run beginning with record number `turn`; `put` saw to it that the run lies in the body."""
    cdef uint8_t* body = body_of(entry)
    cdef size_t run = <size_t>entry.rotate_count * entry.rotate_size
    cdef size_t begin = entry.rotate_at, end = begin + run
    cdef size_t split = <size_t>(turn % entry.rotate_count) * entry.rotate_size
    memcpy(out, body, begin)
    memcpy(out + begin, body + begin + split, run - split)
    memcpy(out + end - split, body + begin, split)
    memcpy(out + end, body + end, entry.body_size - end)


cdef bint may_hold(Entry* entry, const Question* question) noexcept nogil:
    """Whether the asker's limit leaves room for all records."""
    cdef size_t size = HEADER_SIZE + question.octets + entry.body_size + (OPT_SIZE if question.has_opt else 0)
    return not entry.flags & IS_OVERSIZE and size <= question.limit


cdef size_t write_reply(
    Entry* entry, const Question* question, const uint8_t* query, uint32_t turn, uint32_t age, uint8_t* out
) noexcept nogil:
    """Write the reply into `out`, at least MAX_REPLY octets long; returns its length.

    `query` is the datagram that `question` was read from. What does not fit into the asker's limit loses its EDE, and
    then becomes TC without records; header, question and OPT alone are at most 282 octets, the limit 512 or more.
    """
    cdef size_t at = HEADER_SIZE + question.octets
    cdef bint fits = may_hold(entry, question)
    cdef unsigned int flags = QR | RA | entry.rcode | (<unsigned int>query[2] << 8 & RD) | (query[3] & CD)
    cdef uint16_t place
    if entry.flags & IS_AUTHORITATIVE:
        flags |= AA
    if not fits:
        flags |= TC
    memcpy(out, query, at)
    put16(out + 2, flags)
    put16(out + 6, entry.an if fits else 0)
    put16(out + 8, entry.ns if fits else 0)
    put16(out + 10, (entry.ar if fits else 0) + question.has_opt)
    if fits:
        if entry.rotate_count > 1:
            _copy_rotated(entry, turn, out + at)
        else:
            memcpy(out + at, body_of(entry), entry.body_size)
        if not entry.flags & IS_FIXED and age:
            for place in range(entry.ttl_count):
                _age(out + at + ttls_of(entry)[place], age)
        at += entry.body_size
    if question.has_opt:
        _write_opt(out + at, question.asked & DO_BIT)
        at += OPT_SIZE
        if fits and entry.flags & HAS_EDE and at + EDE_SIZE <= question.limit:
            _write_ede(out + at - OPT_SIZE, entry.ede)
            at += EDE_SIZE
    return at
