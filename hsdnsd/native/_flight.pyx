# cython: cdivision=True
"""How a flight begins: a question that the table can't answer is asked of an upstream, or waits with those who did.

A flight is one question, one message, one socket, and whoever waits.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcmp, memcpy, memset

from hsdnsd.native._counter cimport count
from hsdnsd.native._datagrams cimport MAX_PEER, octets_of, sockaddr_in, sockaddr_in6, write_peer
from hsdnsd.native._entry cimport Entry, key_of
from hsdnsd.native._gate cimport CD_BIT, MAX_KEY, Question
from hsdnsd.native._outlets cimport Outlets, put_back, take_outlet
from hsdnsd.native._plan cimport AT_RANDOM, EXPLORING, IN_TURN, Plan
from hsdnsd.native._reply cimport MAX_REPLY
from hsdnsd.native._sky cimport (
    ALOFT, HELD, LOOPED, Flight, Port, Sky, Waiter, find_flight, give_slot, hand_over, let_go, may_fly, push_by_due,
    source_of, take_slot, wire_of
)
from hsdnsd.native._table cimport candidate, pthread_mutex_lock, pthread_mutex_unlock
from hsdnsd.native._wire cimport HEADER_SIZE, OPT_SIZE

from hsdnsd.native import contract

cdef extern from "<sys/socket.h>" nogil:
    ctypedef unsigned int socklen_t
    enum:
        AF_INET, AF_INET6, MSG_NOSIGNAL
    int getsockname(int, void*, socklen_t*)
    ssize_t send(int, const void*, size_t, int)

cdef extern from "<sys/random.h>" nogil:
    ssize_t getrandom(void*, size_t, unsigned int)

cdef enum:
    # What is longer is padded beyond all use (RFC 8467 section 4.1), and is kept by the engine's rules: those who wait
    # here take 16 MiB at most, not 75.
    MOST_QUERY = 512

cdef size_t MAX_WAITERS = contract.MAX_FLIGHT_WAITERS


# Who waits.

cdef inline bint _is_mapped(const uint8_t* address) noexcept nogil:
    """::ffff:0:0/96: an IPv4 client of an IPv6 socket"""
    cdef int at
    for at in range(10):
        if address[at]:
            return False
    return address[10] == 0xFF and address[11] == 0xFF


cdef Waiter* _waiter(Sky* sky, Port* port, unsigned int number, const Question* question, double now) noexcept nogil:
    """Whoever sent a datagram, as one who waits; NULL: too many of the same wait, too long a query, or no memory."""
    cdef uint8_t peer[MAX_PEER]
    cdef size_t peer_size = write_peer(port.lane, number, peer)
    cdef size_t size = port.lane.in_heads[number].msg_len
    cdef bint is_v6 = port.is_v6 and not _is_mapped(peer + 10)
    cdef uint16_t source
    cdef Waiter* waiter
    # Behind the port lies the address of the one who asks (hsdnsd.native.peer).
    if is_v6:
        source = source_of(sky, peer + 10, 16)
    else:
        source = source_of(sky, peer + (22 if port.is_v6 else 10), 4)
    if size > MOST_QUERY or sky.sources[source] >= sky.plan.per_client or sky.waiters >= MAX_WAITERS:
        return NULL
    waiter = <Waiter*>malloc(sizeof(Waiter) + size)
    if waiter == NULL:
        return NULL
    waiter.next = NULL
    waiter.arrived = now
    waiter.port = port.number
    waiter.source = source
    waiter.is_v6 = is_v6
    waiter.size = size
    waiter.peer_size = peer_size
    memcpy(waiter.peer, peer, peer_size)
    waiter.question = question[0]
    memcpy(wire_of(waiter), octets_of(port.lane, number), size)
    return waiter


cdef void _wait(Sky* sky, Flight* flight, Waiter* waiter) noexcept nogil:
    if flight.last != NULL:
        flight.last.next = waiter
    else:
        flight.first = waiter
    flight.last = waiter
    flight.waiter_count += 1
    sky.sources[waiter.source] += 1
    sky.waiters += 1


# Taking off.

cdef bint _is_known(Sky* sky, const Question* question, double now) noexcept nogil:
    """Whether the table holds an answer that has not run out: the engine knows why it was not given.

    Nobody is given what was held when the table was cleared, but the engine's cache may still know it.
    """
    cdef Entry* entry
    cdef bint known
    pthread_mutex_lock(&sky.store.lock)
    entry = candidate(sky.store, question.hash)
    known = (
        entry != NULL and now < entry.expires and entry.key_size == question.key_size
        and memcmp(key_of(entry), question.key, question.key_size) == 0
    )
    pthread_mutex_unlock(&sky.store.lock)
    return known


cdef bint _draw(Sky* sky, uint16_t* drawn) noexcept nogil:
    """16 bits of the system's random source; False: it has none."""
    if sky.entropy_left < 2:
        if getrandom(sky.entropy, sizeof(sky.entropy), 0) != <ssize_t>sizeof(sky.entropy):
            return False
        sky.entropy_left = sizeof(sky.entropy)
    sky.entropy_left -= 2
    memcpy(drawn, sky.entropy + sky.entropy_left, 2)
    return True


cdef bint _choose(Sky* sky, uint8_t* place) noexcept nogil:
    """Whom to ask, as a place in the plan."""
    cdef Plan* plan = &sky.plan
    cdef uint16_t drawn = 0
    place[0] = 0
    if plan.count < 2:
        return plan.count == 1
    if plan.choice == IN_TURN:
        plan.turn += 1
        place[0] = <uint8_t>(plan.turn % plan.count)
    elif plan.choice == AT_RANDOM:
        if not _draw(sky, &drawn):
            return False
        place[0] = <uint8_t>(drawn % plan.count)
    elif plan.choice == EXPLORING:
        if not _draw(sky, &drawn):
            return False
        if drawn % plan.one_in == 0:
            place[0] = <uint8_t>(1 + drawn // plan.one_in % (plan.count - 1))
    return True


cdef size_t _write_query(Flight* flight, uint8_t* out) noexcept nogil:
    """As `hsdnsd.wire.message.build_query`; returns the length."""
    cdef size_t name_size = flight.key_size - 3, at = HEADER_SIZE
    cdef uint8_t* behind_name = flight.key + name_size
    memset(out, 0, HEADER_SIZE)
    out[0] = <uint8_t>(flight.id >> 8)
    out[1] = <uint8_t>flight.id
    out[2] = 1  # RD
    out[3] = 0x10 if behind_name[2] & CD_BIT else 0
    out[5] = 1
    out[11] = flight.edns
    memcpy(out + at, flight.key, name_size + 2)
    at += name_size + 2
    out[at] = 0
    out[at + 1] = 1  # IN
    at += 2
    if flight.edns:
        memset(out + at, 0, OPT_SIZE)
        out[at + 2] = 41
        out[at + 3] = MAX_REPLY >> 8
        out[at + 4] = MAX_REPLY & 0xFF
        at += OPT_SIZE
    return at


cdef bint _take_off(Sky* sky, Port* port, uint32_t number, double now) noexcept nogil:
    """Send the message of a new flight; False: nothing was sent."""
    cdef uint8_t query[HEADER_SIZE + MAX_KEY + 4 + OPT_SIZE]
    cdef Flight* flight = &sky.flights[number]
    cdef uint8_t place = 0
    cdef ssize_t size
    if not _choose(sky, &place) or not _draw(sky, &flight.id):
        return False
    flight.server = sky.plan.servers[place]
    flight.edns = sky.plan.edns[place]
    flight.outlet = take_outlet(&port.outlets, &sky.plan.targets[flight.server], number)
    if flight.outlet == 0:
        return False
    size = _write_query(flight, query)
    if send(port.outlets.all[flight.outlet].fd, query, size, MSG_NOSIGNAL) != size:
        put_back(&port.outlets, flight.outlet)
        return False
    flight.state = ALOFT
    flight.port = port.number
    flight.sent_at = now
    flight.due = now + sky.plan.patience
    count(&sky.opened, 1)
    push_by_due(sky, number)
    return True


cdef bint _came_back(Sky* sky, Flight* flight, Port* port, unsigned int number) noexcept nogil:
    """Whether a query is the message of a flight, from its own socket."""
    cdef uint8_t* wire = octets_of(port.lane, number)
    cdef sockaddr_in6* source = &port.lane.arrived[number].source
    cdef sockaddr_in6 own
    cdef socklen_t size = sizeof(sockaddr_in6)
    cdef const uint8_t* asker = <uint8_t*>&source.sin6_addr
    if ((<unsigned int>wire[0] << 8) | wire[1]) != flight.id:
        return False
    memset(&own, 0, sizeof(own))
    cdef Outlets* outlets = &sky.ports[flight.port].outlets
    if getsockname(outlets.all[flight.outlet].fd, &own, &size) != 0 or own.sin6_port != source.sin6_port:
        return False
    if not port.is_v6:
        asker = <uint8_t*>&(<sockaddr_in*>source).sin_addr
    elif _is_mapped(asker):
        asker += 12
    elif own.sin6_family == AF_INET6:
        return memcmp(asker, &own.sin6_addr, 16) == 0
    else:
        return False
    return own.sin6_family == AF_INET and memcmp(asker, &(<sockaddr_in*>&own).sin_addr, 4) == 0


cdef bint _join(Sky* sky, Port* port, uint32_t number, unsigned int datagram, const Question* question,
                double now) noexcept nogil:
    """Wait for what comes of a flight that is there already; False: the engine is to judge."""
    cdef Flight* flight = &sky.flights[number]
    cdef Waiter* waiter
    if flight.state == HELD or flight.waiter_count >= sky.plan.waiters:
        return False
    if flight.state == ALOFT and _came_back(sky, flight, port, datagram):
        hand_over(sky, number, LOOPED, 0, NULL, 0)
        return True
    waiter = _waiter(sky, port, datagram, question, now)
    if waiter == NULL:
        return False
    _wait(sky, flight, waiter)
    return True


cdef bint _begin(Sky* sky, Port* port, unsigned int datagram, const Question* question, double now) noexcept nogil:
    cdef Waiter* waiter
    cdef uint32_t number, aloft = sky.aloft.count + sky.handed.count
    if aloft >= sky.most or aloft + sky.claimed >= sky.plan.in_flight or _is_known(sky, question, now):
        return False
    waiter = _waiter(sky, port, datagram, question, now)
    if waiter == NULL:
        return False
    number = take_slot(sky, question.hash, question.key, question.key_size)
    if number and _take_off(sky, port, number, now):
        _wait(sky, &sky.flights[number], waiter)
        return True
    if number:
        give_slot(sky, number)
    free(waiter)
    return False


cdef bint fly(Sky* sky, Port* port, unsigned int number, const Question* question, double now) noexcept nogil:
    """Ask for a datagram of the batch that the table has no answer for, or wait with those who did.

    False: it is the engine's.
    """
    cdef uint32_t known
    cdef bint flown
    if not question.rd:
        return False
    pthread_mutex_lock(&sky.lock)
    flown = False
    if now < sky.plan.until and may_fly(sky, question.key, question.key_size, question.qtype):
        known = find_flight(sky, question.hash, question.key, question.key_size)
        if known and sky.flights[known].state == HELD and now >= sky.flights[known].due:
            let_go(sky, known)
            known = 0
        if known:
            flown = _join(sky, port, known, number, question, now)
        else:
            flown = _begin(sky, port, number, question, now)
    pthread_mutex_unlock(&sky.lock)
    return flown
