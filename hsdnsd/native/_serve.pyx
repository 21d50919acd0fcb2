"""Hits served from a socket, a batch at a time, without an object of Python's.

A batch goes through in three passes, so that the memory a look-up needs is on its way while others are worked on:
questions read and hashed; entries found by hash; answers written. The table is locked for the second and third.
"""

from libc.stdint cimport uint8_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from hsdnsd.native._counter cimport count
from hsdnsd.native._datagrams cimport (
    Lane, close_lane, is_cut, octets_of, open_lane, reply_room, reply_to, write_batch
)
from hsdnsd.native._entry cimport IS_AUTHORITATIVE, Entry
from hsdnsd.native._gate cimport DO_BIT, Question, read_question
from hsdnsd.native._table cimport (
    Store, candidate, give, may_have, pthread_mutex_lock, pthread_mutex_unlock, take_hash
)

from hsdnsd.native import contract

cdef uint8_t[256] _TYPE_PLACE
cdef unsigned int[SIZE_PLACES - 1] _SIZE_BOUNDS


cdef int _read_contract() except -1:
    """Take over which QTYPEs and sizes are counted."""
    cdef int place, qtype
    if len(contract.COUNTED_TYPES) + 1 != TYPE_PLACES or len(contract.SIZE_BOUNDS) + 1 != SIZE_PLACES:
        raise ImportError("the contract counts more types or sizes than there are places")
    for place in range(256):
        _TYPE_PLACE[place] = TYPE_PLACES - 1
    for place, qtype in enumerate(contract.COUNTED_TYPES):
        if not 0 <= qtype <= 255:
            raise ImportError("a QTYPE above 255 has no counter")
        _TYPE_PLACE[qtype] = place
    for place in range(SIZE_PLACES - 1):
        _SIZE_BOUNDS[place] = contract.SIZE_BOUNDS[place]
    return 0


_read_contract()


cdef int open_server(Server* server, Store* store, sock, unsigned int size) except -1:
    """Get ready to serve hits of `store` from a bound socket; `close_server` is due even if this fails."""
    memset(server, 0, sizeof(Server))
    open_lane(&server.lane, sock, size)
    server.store = store
    server.questions = <Question*>calloc(size, sizeof(Question))
    server.candidates = <Entry**>calloc(size, sizeof(Entry*))
    server.up = <unsigned int*>calloc(size, sizeof(unsigned int))
    if server.questions == NULL or server.candidates == NULL or server.up == NULL:
        raise MemoryError
    return 0


cdef void close_server(Server* server) noexcept nogil:
    close_lane(&server.lane)
    free(server.questions)
    free(server.candidates)
    free(server.up)


cdef void answer_batch(Server* server, int fd, double now) noexcept nogil:
    """Answer of the batch that was read what the table holds, and leave the rest in `server.up`."""
    server.up_count = 0
    _read_questions(server)
    pthread_mutex_lock(&server.store.lock)
    _find_candidates(server)
    _answer(server, now)
    server.is_due = server.store.due_count != 0
    pthread_mutex_unlock(&server.store.lock)
    write_batch(&server.lane, fd)


cdef void _read_questions(Server* server) noexcept nogil:
    """First pass. What is refused or not plain gets a question without a key."""
    cdef Lane* lane = &server.lane
    cdef unsigned int number
    cdef Question* question
    for number in range(lane.in_count):
        question = &server.questions[number]
        question.key_size = 0
        if lane.arrived[number].is_refused or is_cut(lane, number):
            continue
        if read_question(octets_of(lane, number), lane.in_heads[number].msg_len, question):
            take_hash(server.store, question)


cdef void _find_candidates(Server* server) noexcept nogil:
    """Second pass."""
    cdef unsigned int number
    for number in range(server.lane.in_count):
        if server.questions[number].key_size:
            server.candidates[number] = candidate(server.store, server.questions[number].hash)
        else:
            server.candidates[number] = NULL


cdef void _answer(Server* server, double now) noexcept nogil:
    """Third pass."""
    cdef Lane* lane = &server.lane
    cdef Question* question
    cdef Entry* entry
    cdef unsigned int number
    cdef size_t size
    for number in range(lane.in_count):
        question = &server.questions[number]
        entry = server.candidates[number]
        if entry != NULL and may_have(server.store, entry, question, now):
            size = give(server.store, entry, question, octets_of(lane, number), now, reply_room(lane))
            reply_to(lane, number, size)
            _count(server, question, entry, lane.in_heads[number].msg_len, size)
        elif not lane.arrived[number].is_refused:
            server.up[server.up_count] = number
            server.up_count += 1


cdef void _count(Server* server, Question* question, Entry* entry, size_t query_size, size_t reply_size) noexcept nogil:
    cdef Hits* hits = &server.by_zone[1 if entry.flags & IS_AUTHORITATIVE else 0]
    count(&server.hits, 1)
    count(&server.hits_do, question.asked & DO_BIT)
    count(&hits.types[_TYPE_PLACE[question.qtype] if question.qtype < 256 else TYPE_PLACES - 1], 1)
    count(&hits.rcodes[entry.rcode], 1)
    _count_size(&hits.queries, query_size)
    _count_size(&hits.replies, reply_size)


cdef inline void _count_size(Sizes* sizes, size_t size) noexcept nogil:
    cdef int place = 0, bound
    for bound in range(SIZE_PLACES - 1):
        place += size > _SIZE_BOUNDS[bound]
    count(&sizes.counts[place], 1)
    count(&sizes.octets, size)
