# cython: cdivision=True
"""How a flight ends: a plain reply is told to everybody who waits, and kept; any other is the engine's."""

from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdint cimport uint8_t, uint32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from hsdnsd.native._accept cimport Accepted, accept_untrusted
from hsdnsd.native._counter cimport count
from hsdnsd.native._datagrams cimport Lane, reply_room, reply_to_peer, write_batch
from hsdnsd.native._entry cimport IS_NEGATIVE, Entry, body_of, key_of, ttls_of
from hsdnsd.native._outlets cimport drain, put_back
from hsdnsd.native._reply cimport MAX_REPLY, write_reply
from hsdnsd.native._sky cimport (
    REFUSED, REPLY, TYPE_PLACES, WAIT_PLACES, Flight, Landed, Port, Sky, Waiter, give_slot, hand_over, may_fly,
    pull, ring, wait_no_more, wire_of
)
from hsdnsd.native._table cimport keep_entry, pthread_mutex_lock, pthread_mutex_unlock
from hsdnsd.native._wire cimport HEADER_SIZE, OPT_SIZE

from hsdnsd.native import contract

cdef extern from "<sys/socket.h>" nogil:
    enum:
        MSG_DONTWAIT
    ssize_t recv(int, void*, size_t, int)

cdef extern from "<math.h>":
    double INFINITY

cdef extern from *:
    int __builtin_clzll(unsigned long long) noexcept nogil

cdef enum:
    # As hsdnsd.net.upstream: what is longer is cut, and then is no message any more.
    MAX_DATAGRAM = 4096

cdef size_t MAX_UNTOLD = contract.MAX_UNTOLD
cdef size_t TELL_AT = contract.TELL_AT
cdef double REFRESH_IN_LAST = contract.REFRESH_IN_LAST
cdef double REFRESH_FROM = contract.REFRESH_FROM

cdef uint8_t[256] _TYPE_PLACE


cdef int _read_contract() except -1:
    cdef int place, qtype
    if len(contract.COUNTED_TYPES) + 1 != TYPE_PLACES or contract.LATENCY_BUCKETS != WAIT_PLACES:
        raise ImportError("counters have as many places as the contract says")
    memset(_TYPE_PLACE, TYPE_PLACES - 1, sizeof(_TYPE_PLACE))
    for place, qtype in enumerate(contract.COUNTED_TYPES):
        _TYPE_PLACE[qtype] = place
    return 0


_read_contract()


cdef void land(Sky* sky, Port* port, uint32_t outlet, double now) noexcept nogil:
    """Something has come on a socket towards upstreams."""
    cdef uint8_t reply[MAX_DATAGRAM]
    cdef Accepted accepted
    cdef uint32_t number
    cdef Flight* flight
    cdef ssize_t size
    cdef int fd, problem
    cdef size_t name_size
    pthread_mutex_lock(&sky.lock)
    fd = port.outlets.all[outlet].fd
    number = port.outlets.all[outlet].flight
    flight = &sky.flights[number]
    if number == 0 and fd >= 0:
        # It was on its way while the connection was dissolved.
        drain(fd)
    elif number:
        size = recv(fd, reply, sizeof(reply), MSG_DONTWAIT)
        problem = errno
        name_size = flight.key_size - 3
        if size < 0 and (problem == EAGAIN or problem == EINTR):
            pass  # a datagram with a wrong checksum woke us
        elif size < 0:
            hand_over(sky, number, REFUSED, problem, NULL, 0)
        elif (
            accept_untrusted(
                reply, size, flight.id, flight.key, name_size, _qtype_of(flight), sky.names, &sky.plan.ttls, &accepted
            )
            and HEADER_SIZE + name_size + 4 + accepted.body_size + OPT_SIZE <= MAX_REPLY
            # What may be asked may have changed meanwhile.
            and sky.plan.count and may_fly(sky, flight.key, flight.key_size, _qtype_of(flight))
            and _tell(sky, port, flight, &accepted, now)
        ):
            put_back(&port.outlets, outlet)
            pull(sky, &sky.aloft, number)
            give_slot(sky, number)
        else:
            hand_over(sky, number, REPLY, 0, reply, size)
    pthread_mutex_unlock(&sky.lock)


cdef inline unsigned int _qtype_of(Flight* flight) noexcept nogil:
    return (<unsigned int>flight.key[flight.key_size - 3] << 8) | flight.key[flight.key_size - 2]


cdef Entry* _entry_of(Flight* flight, const Accepted* accepted, double now) noexcept nogil:
    """The finished answer, as `hsdnsd.native._table` keeps it; NULL: no memory."""
    cdef size_t ttls = 2 * <size_t>accepted.ttl_count
    cdef Entry* entry = <Entry*>malloc(sizeof(Entry) + ttls + flight.key_size + accepted.body_size)
    if entry == NULL:
        return NULL
    memset(entry, 0, sizeof(Entry))
    entry.hash = flight.hash
    entry.made = now
    entry.expires = now + accepted.keep
    entry.refresh_at = INFINITY
    if accepted.keep >= REFRESH_FROM:
        entry.refresh_at = entry.expires - (entry.expires - now) * REFRESH_IN_LAST
    entry.rcode = accepted.rcode
    entry.flags = IS_NEGATIVE if accepted.an == 0 else 0
    entry.an = accepted.an
    entry.ns = accepted.ns
    entry.key_size = flight.key_size
    entry.body_size = accepted.body_size
    entry.ttl_count = accepted.ttl_count
    entry.rotate_at = accepted.rotate_at
    entry.rotate_count = accepted.rotate_count
    entry.rotate_size = accepted.rotate_size
    memcpy(ttls_of(entry), accepted.ttls, ttls)
    memcpy(key_of(entry), flight.key, flight.key_size)
    memcpy(body_of(entry), accepted.body, accepted.body_size)
    return entry


cdef bint _tell(Sky* sky, Port* port, Flight* flight, const Accepted* accepted, double now) noexcept nogil:
    """Give the answer to everybody who waits, and keep it; False: no memory, and nobody was told."""
    cdef Entry* entry = _entry_of(flight, accepted, now)
    cdef Waiter* waiter = flight.first
    cdef Waiter* told
    if entry == NULL:
        return False
    _note(sky, flight, accepted, now)
    while waiter != NULL:
        told = waiter
        waiter = waiter.next
        _reply(sky, port, told, entry)
        _count(sky, told, accepted, told != flight.first, now)
        wait_no_more(sky, told)
        free(told)
    flight.first = flight.last = NULL
    count(&sky.landed, 1)
    if accepted.keep:
        keep_entry(sky.store, entry, now)
    else:
        free(entry)
    return True


cdef void _reply(Sky* sky, Port* port, Waiter* waiter, Entry* entry) noexcept nogil:
    """Put the reply into the batch of the thread, or send it where another one's client has asked."""
    cdef Port* asked = sky.ports[waiter.port]
    cdef Lane* lane
    cdef uint8_t* room
    cdef size_t size
    if asked == NULL:
        return  # not reached: who leaves is handed over
    lane = port.lane if asked == port else &asked.aside
    room = reply_room(lane)
    size = write_reply(entry, &waiter.question, wire_of(waiter), 0, 0, room)
    reply_to_peer(lane, waiter.peer, waiter.peer_size, room, size)
    if lane.out_count == lane.size or lane is not port.lane:
        write_batch(lane, asked.fd)


cdef void _count(Sky* sky, Waiter* waiter, const Accepted* accepted, bint joined, double now) noexcept nogil:
    cdef unsigned int qtype = waiter.question.qtype
    cdef double waited = max(now - waiter.arrived, <double>0)
    cdef unsigned long long microseconds = <unsigned long long>(waited * 1e6)
    cdef int place = 64 - __builtin_clzll(microseconds) if microseconds else 0
    sky.tally.requests[waiter.is_v6][_TYPE_PLACE[qtype] if qtype < 256 else TYPE_PLACES - 1] += 1
    sky.tally.answers += 1
    sky.tally.denials += accepted.rcode != 0
    sky.tally.coalesced += joined
    sky.tally.waits[min(place, <int>WAIT_PLACES - 1)] += 1
    sky.tally.waited += waited


cdef void _note(Sky* sky, Flight* flight, const Accepted* accepted, double now) noexcept nogil:
    """Put by for the engine what was answered; what there is no room for is lost to its cache alone."""
    cdef size_t ttls = 2 * <size_t>accepted.ttl_count
    cdef Landed* landed = NULL
    if sky.landed_count < MAX_UNTOLD:
        landed = <Landed*>malloc(sizeof(Landed) + ttls + flight.key_size + accepted.body_size)
    if landed == NULL:
        count(&sky.untold, 1)
        return
    landed.next = NULL
    landed.at = now
    landed.took = max(now - flight.sent_at, <double>0)
    landed.ttl = accepted.ttl
    landed.keep = accepted.keep
    landed.an = accepted.an
    landed.ns = accepted.ns
    landed.key_size = flight.key_size
    landed.body_size = accepted.body_size
    landed.ttl_count = accepted.ttl_count
    landed.rotate_at = accepted.rotate_at
    landed.rotate_count = accepted.rotate_count
    landed.rotate_size = accepted.rotate_size
    landed.rcode = accepted.rcode
    landed.server = flight.server
    landed.edns = flight.edns
    landed.has_opt = accepted.has_opt
    memcpy(<uint8_t*>landed + sizeof(Landed), accepted.ttls, ttls)
    memcpy(<uint8_t*>landed + sizeof(Landed) + ttls, accepted.body, accepted.body_size)
    memcpy(<uint8_t*>landed + sizeof(Landed) + ttls + accepted.body_size, flight.key, flight.key_size)
    if sky.landed_last != NULL:
        sky.landed_last.next = landed
    else:
        sky.landed_first = landed
    sky.landed_last = landed
    sky.landed_count += 1
    if sky.landed_count == TELL_AT:
        ring(sky)
