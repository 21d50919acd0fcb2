"""Counters that one thread writes and any may read as they stand. Relaxed: they cost what a plain word costs."""

from libc.stdint cimport uint64_t

cdef extern from *:
    int __ATOMIC_RELAXED
    uint64_t __atomic_load_n(const uint64_t*, int) noexcept nogil
    void __atomic_store_n(uint64_t*, uint64_t, int) noexcept nogil


cdef inline uint64_t reading(const uint64_t* counter) noexcept nogil:
    return __atomic_load_n(counter, __ATOMIC_RELAXED)


cdef inline void count(uint64_t* counter, uint64_t more) noexcept nogil:
    """Only for the thread that the counter belongs to."""
    __atomic_store_n(counter, counter[0] + more, __ATOMIC_RELAXED)
