"""Names that the packet path leaves to the engine."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

cdef struct NamePlace:
    uint64_t hash
    uint32_t at  # in `text`
    uint32_t size  # 0: free
    uint8_t below  # whatever lies below it too, not the name alone

cdef struct Names:
    uint64_t k0
    uint64_t k1
    NamePlace* places
    size_t mask
    uint8_t* text
    unsigned int most_labels  # of a name whose `below` is set
    bint is_all  # the root is among them

cdef class NameSet:
    cdef Names names

cdef bint is_listed(const Names* names, const uint8_t* name, size_t size) noexcept nogil
