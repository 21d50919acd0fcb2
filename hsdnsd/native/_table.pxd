"""The table of finished answers: index, queues, owners."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from hsdnsd.native._entry cimport Entry
from hsdnsd.native._gate cimport MAX_KEY, Question

cdef extern from "<pthread.h>" nogil:
    ctypedef struct pthread_mutex_t:
        pass
    int pthread_mutex_init(pthread_mutex_t*, void*)
    int pthread_mutex_destroy(pthread_mutex_t*)
    int pthread_mutex_lock(pthread_mutex_t*)
    int pthread_mutex_unlock(pthread_mutex_t*)

cdef struct Place:
    uint64_t hash
    Entry* entry  # NULL: free

cdef struct Queue:
    Entry* newest
    Entry* oldest
    Entry* hand
    size_t bytes
    size_t room  # most that `bytes` may be
    size_t count
    size_t most  # most that `count` may be
    uint64_t evictions

cdef struct Due:
    uint32_t hits
    uint16_t key_size
    uint8_t key[MAX_KEY]

cdef struct Store:
    pthread_mutex_t lock  # over everything below
    uint64_t k0
    uint64_t k1
    Place* places
    size_t place_count
    Queue positive
    Queue negative
    uint64_t* generations  # one for each owner slot, and one that never moves
    uint64_t epoch
    Due* due
    size_t due_count

cdef class Table:
    cdef Store store
    cdef size_t _slot(self, bytes owner) noexcept

cdef void take_hash(Store* store, Question* question) noexcept nogil
cdef Entry* candidate(Store* store, uint64_t hash) noexcept nogil
cdef bint may_have(Store* store, Entry* entry, const Question* question, double now) noexcept nogil
cdef size_t give(
    Store* store, Entry* entry, const Question* question, const uint8_t* query, double now, uint8_t* out
) noexcept nogil
cdef void keep_entry(Store* store, Entry* entry, double now) noexcept nogil
