"""Questions that the packet path asks of an upstream by itself, and all there is to know about them."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from hsdnsd.native._datagrams cimport Lane
from hsdnsd.native._gate cimport MAX_KEY, Question
from hsdnsd.native._names cimport Names
from hsdnsd.native._outlets cimport Outlets
from hsdnsd.native._plan cimport Plan
from hsdnsd.native._siphash cimport siphash
from hsdnsd.native._table cimport Store, pthread_mutex_t

cdef enum:
    MAX_PORTS = 256
    SOURCE_SLOTS = 4096
    TYPE_PLACES = 16
    WAIT_PLACES = 24

cdef enum:
    FREE = 0
    ALOFT = 1  # asked of an upstream, by a thread
    HANDED = 2  # waits for the engine
    HELD = 3  # the engine's, or not to be asked by a thread for now

# Why a flight is handed over; `hsdnsd.native.flight_contract.Trouble`.
cdef enum:
    SILENCE = 0
    REPLY = 1
    REFUSED = 2
    LOOPED = 3
    CLAIMED = 4
    CLOSED = 5
    TROUBLES = 6

# A socket that is served, as the flights see it.
cdef struct Port:
    int fd
    int number
    bint is_v6
    Lane* lane  # of its thread
    Lane aside  # for other threads, under the lock of the flights
    Outlets outlets  # under the lock of the flights

# Who waits for an answer; the query follows in the same block.
cdef struct Waiter:
    Waiter* next
    double arrived
    int port
    uint16_t source  # its counter
    bint is_v6
    size_t size
    size_t peer_size
    uint8_t peer[46]
    Question question

cdef struct Flight:
    uint64_t hash
    double sent_at
    double due  # when it is handed over; of one that is held: when it is forgotten
    int fd  # where it is handed over: its socket
    int port  # aloft: whose thread asks, and from what socket
    uint32_t outlet
    uint32_t chain  # the next of the same bucket
    uint32_t earlier  # in its list
    uint32_t later
    uint32_t waiter_count
    Waiter* first
    Waiter* last
    uint8_t* reply  # what came and was not plain
    size_t reply_size
    int problem  # errno
    uint16_t id
    uint16_t key_size
    uint8_t state
    uint8_t trouble
    uint8_t server
    uint8_t edns
    uint8_t is_claimed  # held for an exchange of the engine's
    uint8_t key[MAX_KEY]

# Flights of one state, in the order of `due` or of coming.
cdef struct Queue:
    uint32_t first
    uint32_t last
    uint32_t count

# What the engine is told of an answer that was given; key, body and offsets of TTLs follow in the same block.
cdef struct Landed:
    Landed* next
    double at
    double took
    uint32_t ttl
    uint32_t keep
    uint16_t an
    uint16_t ns
    uint16_t key_size
    uint16_t body_size
    uint16_t ttl_count
    uint16_t rotate_at
    uint16_t rotate_count
    uint16_t rotate_size
    uint8_t rcode
    uint8_t server
    uint8_t edns
    uint8_t has_opt

# As `hsdnsd.engine.counters` counts; what has been told is taken off.
cdef struct Tally:
    uint64_t requests[2][TYPE_PLACES]  # by family
    uint64_t denials  # NXDOMAIN among the answers
    uint64_t answers
    uint64_t coalesced
    uint64_t waits[WAIT_PLACES]
    double waited

cdef struct Sky:
    pthread_mutex_t lock  # over everything below; taken before the table's
    Store* store
    Names* names
    Plan plan
    Port* ports[MAX_PORTS]
    unsigned int next_port  # so that a number comes again late
    Flight* flights  # number 0 is nobody's
    uint32_t* buckets
    uint32_t bucket_mask
    uint32_t free  # slots that have been used
    uint32_t fresh  # from here on none has
    uint32_t slots
    uint32_t most  # of those aloft
    Queue aloft
    Queue handed
    Queue held
    uint32_t claimed
    size_t waiters
    uint16_t* sources
    uint8_t entropy[512]
    size_t entropy_left
    Landed* landed_first
    Landed* landed_last
    size_t landed_count
    int event  # readable while the engine should look
    bint is_rung
    Tally tally
    uint64_t opened
    uint64_t landed
    uint64_t handed_over[TROUBLES]
    uint64_t untold

cdef bint may_fly(Sky* sky, const uint8_t* key, size_t key_size, unsigned int qtype) noexcept nogil
cdef uint32_t find_flight(Sky* sky, uint64_t hash, const uint8_t* key, size_t key_size) noexcept nogil
cdef uint32_t take_slot(Sky* sky, uint64_t hash, const uint8_t* key, size_t key_size) noexcept nogil
cdef void give_slot(Sky* sky, uint32_t number) noexcept nogil
cdef void let_go(Sky* sky, uint32_t number) noexcept nogil
cdef void hold(Sky* sky, uint32_t number, double until) noexcept nogil
cdef void pull(Sky* sky, Queue* queue, uint32_t number) noexcept nogil
cdef void push_by_due(Sky* sky, uint32_t number) noexcept nogil
cdef void ring(Sky* sky) noexcept nogil
cdef void hand_over(
    Sky* sky, uint32_t number, uint8_t trouble, int problem, const uint8_t* reply, size_t size
) noexcept nogil
cdef bint join_sky(Sky* sky, Port* port) noexcept nogil
cdef void leave_sky(Sky* sky, Port* port) noexcept nogil
cdef void expire(Sky* sky, double now) noexcept nogil
cdef int patience(Sky* sky, double now) noexcept nogil
cdef void ring_for_due(Sky* sky) noexcept nogil


cdef inline uint8_t* wire_of(Waiter* waiter) noexcept nogil:
    """The query of one who waits, `waiter.size` octets."""
    return <uint8_t*>waiter + sizeof(Waiter)


cdef inline uint16_t source_of(Sky* sky, const uint8_t* address, size_t size) noexcept nogil:
    """The counter of an address, 4 or 16 octets; some share one."""
    return <uint16_t>(siphash(sky.store.k1, sky.store.k0, address, size) % SOURCE_SLOTS)


cdef inline void wait_no_more(Sky* sky, Waiter* waiter) noexcept nogil:
    sky.sources[waiter.source] -= 1
    sky.waiters -= 1
