# cython: cdivision=True
"""All flights, in slots under their keys: those aloft, those handed over, and keys that are the engine's.

One lock is over them. Who holds it may take the table's lock, never the other way round. Its few system calls,
microseconds each, are made for one flight at a time.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport malloc
from libc.string cimport memcmp, memcpy, memset
from posix.unistd cimport write

from hsdnsd.native._counter cimport count
from hsdnsd.native._gate cimport DO_BIT, MAX_KEY, is_special
from hsdnsd.native._names cimport is_listed
from hsdnsd.native._outlets cimport close_outlets, give_away
from hsdnsd.native._table cimport pthread_mutex_lock, pthread_mutex_unlock

cdef enum:
    QTYPE_HINFO = 13
    QTYPE_AAAA = 28
    QTYPE_DNAME = 39
    QTYPE_RRSIG = 46
    QTYPE_NSEC = 47
    QTYPE_NSEC3 = 50


cdef bint may_fly(Sky* sky, const uint8_t* key, size_t key_size, unsigned int qtype) noexcept nogil:
    """Whether a question, whose key this is, may be asked without the engine's say."""
    if qtype == QTYPE_HINFO or qtype == QTYPE_DNAME or qtype == QTYPE_RRSIG:
        # A probe for loops may be for HINFO; the others are not in an answer as they are asked for.
        return False
    if qtype == QTYPE_NSEC or qtype == QTYPE_NSEC3 or is_special(qtype):
        return False
    if qtype == QTYPE_AAAA and sky.plan.no_aaaa:
        return False
    return not key[key_size - 1] & DO_BIT and not is_listed(sky.names, key, key_size - 3)


# The slots.

cdef inline void _push(Sky* sky, Queue* queue, uint32_t number, uint32_t later) noexcept nogil:
    """Put a flight into a list before `later`; 0: at the end."""
    cdef Flight* flight = &sky.flights[number]
    flight.later = later
    flight.earlier = sky.flights[later].earlier if later else queue.last
    if flight.earlier:
        sky.flights[flight.earlier].later = number
    else:
        queue.first = number
    if later:
        sky.flights[later].earlier = number
    else:
        queue.last = number
    queue.count += 1


cdef void pull(Sky* sky, Queue* queue, uint32_t number) noexcept nogil:
    cdef Flight* flight = &sky.flights[number]
    if flight.earlier:
        sky.flights[flight.earlier].later = flight.later
    else:
        queue.first = flight.later
    if flight.later:
        sky.flights[flight.later].earlier = flight.earlier
    else:
        queue.last = flight.earlier
    queue.count -= 1


cdef void push_by_due(Sky* sky, uint32_t number) noexcept nogil:
    """Into the list of those aloft. Nearly always at its end; patience that has become shorter goes past the others."""
    cdef uint32_t earlier = sky.aloft.last, later = 0
    while earlier and sky.flights[earlier].due > sky.flights[number].due:
        later = earlier
        earlier = sky.flights[earlier].earlier
    _push(sky, &sky.aloft, number, later)


cdef uint32_t find_flight(Sky* sky, uint64_t hash, const uint8_t* key, size_t key_size) noexcept nogil:
    """The slot of a key; 0: there is none."""
    cdef uint32_t number = sky.buckets[hash & sky.bucket_mask]
    cdef Flight* flight
    while number:
        flight = &sky.flights[number]
        if flight.hash == hash and flight.key_size == key_size and memcmp(flight.key, key, key_size) == 0:
            return number
        number = flight.chain
    return 0


cdef uint32_t take_slot(Sky* sky, uint64_t hash, const uint8_t* key, size_t key_size) noexcept nogil:
    """A free slot, put under a key; what has been held for longest makes room. 0: there is none."""
    cdef uint32_t number
    cdef uint32_t* bucket
    cdef Flight* flight
    if sky.free == 0 and sky.fresh == sky.slots:
        if sky.held.first == 0:
            return 0
        let_go(sky, sky.held.first)
    number = sky.free
    if number:
        sky.free = sky.flights[number].chain
    else:
        number = sky.fresh
        sky.fresh += 1
    flight = &sky.flights[number]
    memset(flight, 0, sizeof(Flight) - MAX_KEY)
    flight.hash = hash
    flight.fd = -1
    flight.key_size = <uint16_t>key_size
    memcpy(flight.key, key, key_size)
    bucket = &sky.buckets[hash & sky.bucket_mask]
    flight.chain = bucket[0]
    bucket[0] = number
    return number


cdef void give_slot(Sky* sky, uint32_t number) noexcept nogil:
    """Free a slot that is in no list."""
    cdef Flight* flight = &sky.flights[number]
    cdef uint32_t* link = &sky.buckets[flight.hash & sky.bucket_mask]
    while link[0] != number:
        link = &sky.flights[link[0]].chain
    link[0] = flight.chain
    flight.state = FREE
    flight.chain = sky.free
    sky.free = number


cdef void let_go(Sky* sky, uint32_t number) noexcept nogil:
    """Forget that a key is held."""
    pull(sky, &sky.held, number)
    sky.claimed -= sky.flights[number].is_claimed
    give_slot(sky, number)


cdef void hold(Sky* sky, uint32_t number, double until) noexcept nogil:
    """The engine has an exchange for the key of a slot that is in no list."""
    cdef Flight* flight = &sky.flights[number]
    flight.state = HELD
    flight.is_claimed = True
    flight.due = until
    sky.claimed += 1
    _push(sky, &sky.held, number, 0)


# Waking the event loop.

cdef void ring(Sky* sky) noexcept nogil:
    cdef uint64_t one = 1
    if not sky.is_rung:
        sky.is_rung = True
        write(sky.event, &one, sizeof(one))


cdef void ring_for_due(Sky* sky) noexcept nogil:
    """Something in the table is due to be fetched again."""
    pthread_mutex_lock(&sky.lock)
    ring(sky)
    pthread_mutex_unlock(&sky.lock)


# Handing over.

cdef void hand_over(
    Sky* sky, uint32_t number, uint8_t trouble, int problem, const uint8_t* reply, size_t size
) noexcept nogil:
    """Leave a flight to the engine, its socket open and watched by nobody."""
    cdef Flight* flight = &sky.flights[number]
    flight.fd = give_away(&sky.ports[flight.port].outlets, flight.outlet)
    flight.trouble = trouble
    flight.problem = problem
    if reply != NULL:
        flight.reply = <uint8_t*>malloc(size + 1)
        if flight.reply == NULL:
            # As if it had been lost on the way.
            flight.trouble = SILENCE
        else:
            memcpy(flight.reply, reply, size)
            flight.reply_size = size
    pull(sky, &sky.aloft, number)
    flight.state = HANDED
    _push(sky, &sky.handed, number, 0)
    count(&sky.handed_over[flight.trouble], 1)
    ring(sky)


cdef void expire(Sky* sky, double now) noexcept nogil:
    """Hand over what has been aloft for too long."""
    pthread_mutex_lock(&sky.lock)
    while sky.aloft.first and sky.flights[sky.aloft.first].due <= now:
        hand_over(sky, sky.aloft.first, SILENCE, 0, NULL, 0)
    pthread_mutex_unlock(&sky.lock)


cdef int patience(Sky* sky, double now) noexcept nogil:
    """Milliseconds until `expire` has something to do; -1: nothing is aloft."""
    cdef int milliseconds = -1
    cdef double left
    pthread_mutex_lock(&sky.lock)
    if sky.aloft.first:
        left = (sky.flights[sky.aloft.first].due - now) * 1000
        milliseconds = <int>left + 1 if left > 0 else 0
    pthread_mutex_unlock(&sky.lock)
    return milliseconds


# Sockets that are served.

cdef bint join_sky(Sky* sky, Port* port) noexcept nogil:
    """Let the thread of a socket have flights; False: there are too many sockets."""
    cdef unsigned int number, tried
    cdef bint joined = False
    pthread_mutex_lock(&sky.lock)
    for tried in range(<unsigned int>MAX_PORTS):
        number = (sky.next_port + tried) % MAX_PORTS
        if sky.ports[number] == NULL:
            sky.ports[number] = port
            sky.next_port = number + 1
            port.number = <int>number
            joined = True
            break
    pthread_mutex_unlock(&sky.lock)
    return joined


cdef bint _waits_at(Flight* flight, int port) noexcept nogil:
    cdef Waiter* waiter = flight.first
    while waiter != NULL:
        if waiter.port == port:
            return True
        waiter = waiter.next
    return False


cdef void leave_sky(Sky* sky, Port* port) noexcept nogil:
    """Hand over all that needs the thread of a socket, which has ended, or its socket."""
    cdef uint32_t number, later
    pthread_mutex_lock(&sky.lock)
    if sky.ports[port.number] == port:
        number = sky.aloft.first
        while number:
            later = sky.flights[number].later
            if sky.flights[number].port == port.number or _waits_at(&sky.flights[number], port.number):
                hand_over(sky, number, CLOSED, 0, NULL, 0)
            number = later
        sky.ports[port.number] = NULL
        close_outlets(&port.outlets)
    pthread_mutex_unlock(&sky.lock)
