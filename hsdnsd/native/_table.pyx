# cython: cdivision=True
"""The table of finished answers (contract: `hsdnsd.native.contract.Table`; twin: `_table_py`).

An index of hashes with linear probing, and behind it the entries, each one block. The index never grows, so no put ever
waits for a rehash. The hash is keyed and 64 bits wide: two keys that share one replace each other, and no asker can
make such a pair; a hit compares the whole key.
"""

import os

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcmp, memcpy, memset

from hsdnsd.native._entry cimport (
    HAS_EDE, IS_ASKED, IS_AUTHORITATIVE, IS_FIXED, IS_NEGATIVE, IS_OVERSIZE, Entry, body_of, key_of, ttls_of
)
from hsdnsd.native._gate cimport CD_BIT, DO_BIT, MAX_KEY, Question, is_special, read_question
from hsdnsd.native._reply cimport MAX_REPLY, may_hold, write_reply
from hsdnsd.native._siphash cimport siphash
from hsdnsd.native._wire cimport HEADER_SIZE, put16, u16

from hsdnsd.native import contract
from hsdnsd.native.checks import check_answer, check_name

cdef extern from *:
    void __builtin_prefetch(const void*) noexcept nogil

cdef extern from "<math.h>":
    double INFINITY

cdef size_t ENTRY_BYTES = contract.ENTRY_BYTES
cdef size_t OWNER_SLOTS = contract.OWNER_SLOTS
cdef size_t MAX_DUE = contract.MAX_DUE
cdef int SECOND_CHANCES = contract.SECOND_CHANCES

if ENTRY_BYTES < sizeof(Entry) or contract.INDEX_BYTES < sizeof(Place):
    raise ImportError("entries are larger on this machine than the contract weighs them")


# The index.

cdef inline size_t _home(Store* store, uint64_t hash) noexcept nogil:
    """The place where the search for a hash begins: its upper half, scaled to the index."""
    return <size_t>(((hash >> 32) * store.place_count) >> 32)


cdef inline size_t _next(Store* store, size_t place) noexcept nogil:
    return place + 1 if place + 1 < store.place_count else 0


cdef inline size_t _steps(Store* store, size_t begin, size_t end) noexcept nogil:
    """How many places lie from `begin` on to `end`, around the index's end if need be."""
    return end - begin if end >= begin else end + store.place_count - begin


cdef inline size_t _search(Store* store, uint64_t hash) noexcept nogil:
    """The place of a hash, or the free one where the search for it ends; a quarter of the places is always free."""
    cdef size_t place = _home(store, hash)
    while store.places[place].entry != NULL and store.places[place].hash != hash:
        place = _next(store, place)
    return place


cdef void _empty(Store* store, size_t hole) noexcept nogil:
    """Free a place, moving up what lies behind it on its account, so that every search still finds its end."""
    cdef size_t place = hole
    while True:
        place = _next(store, place)
        if store.places[place].entry == NULL:
            break
        if _steps(store, _home(store, store.places[place].hash), place) >= _steps(store, hole, place):
            store.places[hole] = store.places[place]
            hole = place
    store.places[hole].entry = NULL


# The queues: SIEVE. Entries stay where they came in; a hand goes from old to young, sparing what was asked for.

cdef inline size_t _weight(Entry* entry) noexcept nogil:
    """Octets that malloc takes for an entry: its parts and 8 of malloc's own, in steps of 16."""
    return (ENTRY_BYTES + 2 * entry.ttl_count + entry.key_size + entry.body_size + 8 + 15) & ~<size_t>15


cdef inline Queue* _queue_of(Store* store, Entry* entry) noexcept nogil:
    return &store.negative if entry.flags & IS_NEGATIVE else &store.positive


cdef void _enqueue(Queue* queue, Entry* entry) noexcept nogil:
    entry.newer = NULL
    entry.older = queue.newest
    if queue.newest != NULL:
        queue.newest.newer = entry
    else:
        queue.oldest = entry
    queue.newest = entry
    queue.bytes += _weight(entry)
    queue.count += 1


cdef void _dequeue(Queue* queue, Entry* entry) noexcept nogil:
    if queue.hand == entry:
        queue.hand = entry.newer
    if entry.newer != NULL:
        entry.newer.older = entry.older
    else:
        queue.newest = entry.older
    if entry.older != NULL:
        entry.older.newer = entry.newer
    else:
        queue.oldest = entry.newer
    queue.bytes -= _weight(entry)
    queue.count -= 1


cdef Entry* _victim(Store* store, Queue* queue, double now) noexcept nogil:
    """The entry to leave next: from the hand on, the first not asked for since the hand came by, or dead."""
    cdef Entry* entry = queue.hand if queue.hand != NULL else queue.oldest
    cdef int spared = 0
    while entry.flags & IS_ASKED and _is_live(store, entry, now) and spared < SECOND_CHANCES:
        entry.flags &= ~IS_ASKED
        entry = entry.newer if entry.newer != NULL else queue.oldest
        spared += 1
    queue.hand = entry
    return entry


cdef void _remove(Store* store, size_t place) noexcept nogil:
    cdef Entry* entry = store.places[place].entry
    _empty(store, place)
    _dequeue(_queue_of(store, entry), entry)
    free(entry)


cdef void _insert(Store* store, Entry* entry, double now) noexcept nogil:
    """Take over an entry: in place of one of the same key, and of as many others as it needs room."""
    cdef Queue* queue = _queue_of(store, entry)
    cdef size_t weight = _weight(entry)
    cdef size_t place = _search(store, entry.hash)
    if store.places[place].entry != NULL:
        entry.flags |= store.places[place].entry.flags & IS_ASKED
        _remove(store, place)
    if weight > queue.room or queue.most == 0:
        free(entry)
        return
    while queue.bytes + weight > queue.room or queue.count >= queue.most:
        _remove(store, _search(store, _victim(store, queue, now).hash))
        queue.evictions += 1
    place = _search(store, entry.hash)
    store.places[place].hash = entry.hash
    store.places[place].entry = entry
    _enqueue(queue, entry)


cdef void keep_entry(Store* store, Entry* entry, double now) noexcept nogil:
    """Take over a finished answer that is nobody's to end, until it runs out; everything but its stamp is filled in."""
    entry.owner = <uint32_t>OWNER_SLOTS
    pthread_mutex_lock(&store.lock)
    entry.stamp = store.generations[entry.owner] + store.epoch
    _insert(store, entry, now)
    pthread_mutex_unlock(&store.lock)


# Hits.

cdef inline bint _is_live(Store* store, Entry* entry, double now) noexcept nogil:
    """Whether an entry may still be given: not run out, its owner unchanged."""
    return now < entry.expires and entry.stamp == store.generations[entry.owner] + store.epoch


cdef void take_hash(Store* store, Question* question) noexcept nogil:
    """Hash the key of a question, and have its place fetched from memory while other work is done."""
    question.hash = siphash(store.k0, store.k1, question.key, question.key_size)
    __builtin_prefetch(&store.places[_home(store, question.hash)])


cdef Entry* candidate(Store* store, uint64_t hash) noexcept nogil:
    """The entry with this hash or NULL, not looked at yet, but on its way from memory."""
    cdef Entry* entry = store.places[_search(store, hash)].entry
    cdef int line
    if entry != NULL:
        for line in range(3):
            __builtin_prefetch(<uint8_t*>entry + 64 * line)
    return entry


cdef bint may_have(Store* store, Entry* entry, const Question* question, double now) noexcept nogil:
    """Whether this asker may be given this candidate now (RFC 1034 section 4.3.1: RD=0 sees own zones only).

    One that would lose its additional section, and only that, for want of room is made anew by the engine.
    """
    return (
        entry.key_size == question.key_size
        and memcmp(key_of(entry), question.key, question.key_size) == 0
        and (question.rd or entry.flags & IS_FIXED)
        and (entry.ar == 0 or may_hold(entry, question))
        and _is_live(store, entry, now)
    )


cdef void _note_due(Store* store, Entry* entry) noexcept nogil:
    """Hand out the key of an entry that is asked for shortly before its end, once."""
    cdef Due* due
    if store.due_count == MAX_DUE:
        return
    due = &store.due[store.due_count]
    due.hits = entry.turn
    due.key_size = entry.key_size
    memcpy(due.key, key_of(entry), entry.key_size)
    store.due_count += 1
    entry.refresh_at = INFINITY


cdef size_t give(
    Store* store, Entry* entry, const Question* question, const uint8_t* query, double now, uint8_t* out
) noexcept nogil:
    """Write the reply to an asker who may have it; returns its length, at most MAX_REPLY."""
    cdef uint32_t turn = entry.turn
    cdef uint32_t age = <uint32_t>min(now - entry.made, <double>0xFFFFFFFF) if now > entry.made else 0
    entry.turn += 1
    if not entry.flags & IS_ASKED:
        entry.flags |= IS_ASKED
    if now >= entry.refresh_at:
        _note_due(store, entry)
    return write_reply(entry, question, query, turn, age, out)


# Building entries.

cdef size_t _write_key(bytes name, unsigned int qtype, bint do, bint cd, uint8_t* key) noexcept:
    """Write the key into MAX_KEY octets, as the gate makes it of a question; returns its length."""
    cdef size_t size = len(name)
    memcpy(key, <const uint8_t*>name, size)
    put16(key + size, qtype)
    key[size + 2] = (DO_BIT if do else 0) | (CD_BIT if cd else 0)
    return size + 3


cdef Entry* _new_entry(
    const uint8_t* key, size_t key_size, answer, double made, double expires, double refresh_at
) except NULL:
    """An entry of a checked answer, in a block of its own; hash, owner and stamp are still to be filled in."""
    cdef bytes body = answer.body, ttls = answer.ttls
    cdef bint oversize = HEADER_SIZE + key_size + 1 + len(body) > MAX_REPLY
    cdef Entry* entry
    if oversize:
        body = ttls = b""
    entry = <Entry*>malloc(sizeof(Entry) + len(ttls) + key_size + len(body))
    if entry == NULL:
        raise MemoryError
    memset(entry, 0, sizeof(Entry))
    entry.made = made
    entry.expires = expires
    entry.refresh_at = refresh_at
    entry.rcode = answer.rcode
    entry.ede = 0 if answer.ede is None else answer.ede
    entry.flags = (
        (IS_AUTHORITATIVE if answer.aa else 0)
        | (IS_FIXED if answer.fixed else 0)
        | (IS_NEGATIVE if not answer.an else 0)
        | (IS_OVERSIZE if oversize else 0)
        | (HAS_EDE if answer.ede is not None else 0)
    )
    entry.key_size = <uint16_t>key_size
    entry.body_size = <uint16_t>len(body)
    entry.ttl_count = <uint16_t>(len(ttls) // 2)
    entry.ar = answer.ar
    if not oversize:
        entry.an, entry.ns = answer.an, answer.ns
        if answer.rotate_count:
            entry.rotate_at = answer.rotate_at
            entry.rotate_count = answer.rotate_count
            entry.rotate_size = answer.rotate_size
    memcpy(ttls_of(entry), <const uint8_t*>ttls, len(ttls))
    memcpy(key_of(entry), key, key_size)
    memcpy(body_of(entry), <const uint8_t*>body, len(body))
    return entry


cdef void _bound(Queue* queue, size_t limit) except *:
    """Share a bound between the index's places and what is put behind them."""
    cdef size_t places = limit // <size_t>contract.INDEX_STRIDE
    queue.room = limit - places * <size_t>contract.INDEX_BYTES
    queue.most = places * 3 // 4


cdef class Table:
    """See `hsdnsd.native.contract.Table`.

    The lock is taken without letting go of the GIL: who holds it needs no GIL and is done within microseconds, while
    the GIL might come back only after another thread's turn of 5 ms.
    """

    def __cinit__(self, positive_bytes=contract.POSITIVE_BYTES, negative_bytes=contract.NEGATIVE_BYTES):
        cdef Store* store = &self.store
        cdef bytes seed = os.urandom(16)
        if positive_bytes < 0 or negative_bytes < 0:
            raise ValueError("a bound below 0")
        memset(store, 0, sizeof(Store))
        if pthread_mutex_init(&store.lock, NULL) != 0:
            raise MemoryError
        memcpy(&store.k0, <const uint8_t*>seed, 8)
        memcpy(&store.k1, <const uint8_t*>seed + 8, 8)
        _bound(&store.positive, positive_bytes)
        _bound(&store.negative, negative_bytes)
        store.place_count = (positive_bytes + negative_bytes) // contract.INDEX_STRIDE + 1
        if store.place_count > 0xFFFFFFFF:
            raise ValueError("a bound above 447 GiB")
        store.places = <Place*>calloc(store.place_count, sizeof(Place))
        store.generations = <uint64_t*>calloc(OWNER_SLOTS + 1, sizeof(uint64_t))
        store.due = <Due*>calloc(MAX_DUE, sizeof(Due))
        if store.places == NULL or store.generations == NULL or store.due == NULL:
            raise MemoryError

    def __dealloc__(self):
        cdef size_t place
        if self.store.places != NULL:
            for place in range(self.store.place_count):
                free(self.store.places[place].entry)
        free(self.store.places)
        free(self.store.generations)
        free(self.store.due)
        pthread_mutex_destroy(&self.store.lock)

    @property
    def entries(self):
        return self.store.positive.count, self.store.negative.count

    @property
    def bytes_held(self):
        return self.store.positive.bytes, self.store.negative.bytes

    @property
    def evictions(self):
        return self.store.positive.evictions, self.store.negative.evictions

    def put(
        self, question, answer, double made, double expires=INFINITY, *, bytes owner=None, double refresh_at=INFINITY
    ):
        cdef bytes name = question.name
        cdef unsigned int qtype = question.qtype
        cdef uint8_t key[MAX_KEY]
        cdef size_t key_size
        cdef Entry* entry
        check_name(name)
        check_answer(answer)
        key_size = _write_key(name, qtype, question.do, question.cd, key)
        if is_special(qtype):
            return
        entry = _new_entry(key, key_size, answer, made, expires, refresh_at)
        entry.owner = <uint32_t>(OWNER_SLOTS if owner is None else self._slot(owner))
        entry.hash = siphash(self.store.k0, self.store.k1, key, key_size)
        pthread_mutex_lock(&self.store.lock)
        entry.stamp = self.store.generations[entry.owner] + self.store.epoch
        _insert(&self.store, entry, made)
        pthread_mutex_unlock(&self.store.lock)

    def drop(self, bytes owner not None):
        cdef size_t slot = self._slot(owner)
        pthread_mutex_lock(&self.store.lock)
        self.store.generations[slot] += 1
        pthread_mutex_unlock(&self.store.lock)

    def given(self, question):
        cdef bytes name = question.name
        cdef uint8_t key[MAX_KEY]
        cdef size_t key_size
        cdef uint64_t hash
        cdef Entry* entry
        cdef uint32_t given = 0
        check_name(name)
        key_size = _write_key(name, question.qtype, question.do, question.cd, key)
        hash = siphash(self.store.k0, self.store.k1, key, key_size)
        pthread_mutex_lock(&self.store.lock)
        entry = self.store.places[_search(&self.store, hash)].entry
        if entry != NULL and entry.key_size == key_size and memcmp(key_of(entry), key, key_size) == 0:
            given = entry.turn
        pthread_mutex_unlock(&self.store.lock)
        return given

    def clear(self):
        pthread_mutex_lock(&self.store.lock)
        self.store.epoch += 1
        pthread_mutex_unlock(&self.store.lock)

    def due(self):
        cdef size_t count, number
        cdef Due* waiting
        pthread_mutex_lock(&self.store.lock)
        count = self.store.due_count
        pthread_mutex_unlock(&self.store.lock)
        if count == 0:
            return []
        waiting = <Due*>malloc(MAX_DUE * sizeof(Due))
        if waiting == NULL:
            raise MemoryError
        pthread_mutex_lock(&self.store.lock)
        count = self.store.due_count
        memcpy(waiting, self.store.due, count * sizeof(Due))
        self.store.due_count = 0
        pthread_mutex_unlock(&self.store.lock)
        try:
            return [_key_parts(&waiting[number]) for number in range(count)]
        finally:
            free(waiting)

    def answer(self, bytes wire not None, double now):
        cdef uint8_t out[MAX_REPLY]
        cdef Question question
        cdef const uint8_t* octets = wire
        cdef size_t size = len(wire)
        size = _answer(&self.store, octets, size, now, &question, out)
        return PyBytes_FromStringAndSize(<char*>out, size) if size else None

    cdef size_t _slot(self, bytes owner) noexcept:
        """The counter of an owner."""
        return siphash(self.store.k1, self.store.k0, <const uint8_t*>owner, len(owner)) % OWNER_SLOTS


cdef size_t _answer(
    Store* store, const uint8_t* wire, size_t size, double now, Question* question, uint8_t* out
) noexcept nogil:
    """One datagram alone; 0: it goes up."""
    cdef Entry* entry
    cdef size_t length = 0
    if not read_question(wire, size, question):
        return 0
    pthread_mutex_lock(&store.lock)
    take_hash(store, question)
    entry = candidate(store, question.hash)
    if entry != NULL and may_have(store, entry, question, now):
        length = give(store, entry, question, wire, now, out)
    pthread_mutex_unlock(&store.lock)
    return length


def siphash13(bytes key not None, bytes data not None):
    """The index's hash under a key of 16 octets, to be compared with other makes of it."""
    cdef uint64_t words[2]
    if len(key) != sizeof(words):
        raise ValueError("a key has 16 octets")
    memcpy(words, <const uint8_t*>key, sizeof(words))
    return siphash(words[0], words[1], data, len(data))


cdef tuple _key_parts(Due* due):
    """(name, qtype, do, cd, hits)"""
    cdef size_t name_size = due.key_size - 3
    cdef uint8_t* behind_name = due.key + name_size
    return (
        PyBytes_FromStringAndSize(<char*>due.key, name_size),
        u16(behind_name),
        bool(behind_name[2] & DO_BIT),
        bool(behind_name[2] & CD_BIT),
        due.hits,
    )
