"""The plain good case of a query, read from the wire."""

from libc.stdint cimport uint8_t, uint16_t, uint64_t

cdef enum:
    MAX_KEY = 258  # a name of 255 octets, QTYPE, and the octet of the bits below
    DO_BIT = 1
    CD_BIT = 2

cdef struct Question:
    uint64_t hash  # filled in by the table, whose key it is made with
    uint16_t octets  # QNAME, QTYPE and QCLASS as they stand on the wire
    uint16_t qtype
    uint16_t limit  # octets that the asker takes
    uint16_t key_size
    uint8_t asked  # DO_BIT, CD_BIT
    uint8_t rd
    uint8_t has_opt
    uint8_t key[MAX_KEY]  # folded name, QTYPE, asked

cdef bint is_special(unsigned int qtype) noexcept nogil
cdef bint read_question(const uint8_t* wire, size_t size, Question* question) noexcept nogil
