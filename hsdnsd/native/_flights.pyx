# cython: cdivision=True
"""Flights as the engine sees them (contract: `hsdnsd.native.flight_contract.Flights`).

The lock is taken without letting go of the GIL, as the table's is: who holds it needs no GIL and is done within
microseconds.
"""

import math
import os
import socket

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.errno cimport errno
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset
from posix.unistd cimport close, read

from hsdnsd.native._counter cimport reading
from hsdnsd.native._datagrams cimport sockaddr_in, sockaddr_in6
from hsdnsd.native._gate cimport CD_BIT, MAX_KEY
from hsdnsd.native._names cimport NameSet
from hsdnsd.native._plan cimport MAX_CHOICE, MAX_SERVERS, Plan, Target
from hsdnsd.native._siphash cimport siphash
from hsdnsd.native._sky cimport (
    ALOFT, CLAIMED, HANDED, MAX_PORTS, SOURCE_SLOTS, TROUBLES, Flight, Landed, Sky, Tally, Waiter, find_flight,
    hand_over, hold, let_go, may_fly, pull, ring, source_of, take_slot, wait_no_more, wire_of
)
from hsdnsd.native._table cimport (
    Table, pthread_mutex_destroy, pthread_mutex_init, pthread_mutex_lock, pthread_mutex_unlock
)

from hsdnsd.native import contract, flight_contract
from hsdnsd.native.checks import check_name
from hsdnsd.wire.answer import Answer

cdef extern from "<sys/eventfd.h>" nogil:
    enum:
        EFD_NONBLOCK, EFD_CLOEXEC
    int eventfd(unsigned int, int)

if contract.MAX_SERVERS != MAX_SERVERS or contract.MAX_CHOICE != MAX_CHOICE or len(flight_contract.Trouble) != TROUBLES:
    raise ImportError("the contract promises another number of servers or troubles")

cdef tuple _TROUBLES = tuple(flight_contract.Trouble)


cdef class Flights:
    """See `hsdnsd.native.flight_contract.Flights`."""

    def __cinit__(self, Table table not None, uint32_t most):
        cdef Sky* sky = &self.sky
        cdef uint32_t slots = most + <uint32_t>contract.MAX_HELD + 1, buckets = 16
        memset(sky, 0, sizeof(Sky))
        sky.event = -1
        if not 1 <= most <= 1 << 20:
            raise ValueError("1 to 1,048,576 flights")
        if pthread_mutex_init(&sky.lock, NULL) != 0:
            raise MemoryError
        while buckets < slots:
            buckets *= 2
        self.table = table
        self.names = NameSet()
        sky.store = &table.store
        sky.names = &self.names.names
        sky.most = most
        sky.plan.until = -math.inf
        sky.flights = <Flight*>calloc(slots, sizeof(Flight))
        sky.buckets = <uint32_t*>calloc(buckets, sizeof(uint32_t))
        sky.sources = <uint16_t*>calloc(SOURCE_SLOTS, sizeof(uint16_t))
        if sky.flights == NULL or sky.buckets == NULL or sky.sources == NULL:
            raise MemoryError
        sky.bucket_mask = buckets - 1
        # Slot 0 is nobody's. Free ones are used from the first on, so that memory is touched only as it is needed.
        sky.fresh = 1
        sky.slots = slots
        sky.event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)
        if sky.event < 0:
            raise OSError(errno, os.strerror(errno))

    def __dealloc__(self):
        cdef Sky* sky = &self.sky
        cdef Landed* landed
        cdef uint32_t number
        if sky.flights != NULL:
            for number in range(1, sky.fresh):
                _free_parts(&sky.flights[number])
                if sky.flights[number].state == HANDED:
                    close(sky.flights[number].fd)
        while sky.landed_first != NULL:
            landed = sky.landed_first
            sky.landed_first = landed.next
            free(landed)
        free(sky.flights)
        free(sky.buckets)
        free(sky.sources)
        if sky.event >= 0:
            close(sky.event)
        pthread_mutex_destroy(&sky.lock)

    def fileno(self):
        return self.sky.event

    @property
    def pending(self):
        cdef bint pending
        pthread_mutex_lock(&self.sky.lock)
        pending = self.sky.handed.count or self.sky.landed_count
        pthread_mutex_unlock(&self.sky.lock)
        return pending

    @property
    def in_flight(self):
        cdef uint32_t count
        pthread_mutex_lock(&self.sky.lock)
        count = self.sky.aloft.count + self.sky.handed.count
        pthread_mutex_unlock(&self.sky.lock)
        return count

    @property
    def sockets(self):
        cdef uint32_t count
        cdef int port
        pthread_mutex_lock(&self.sky.lock)
        count = self.sky.handed.count
        for port in range(MAX_PORTS):
            if self.sky.ports[port] != NULL:
                count += self.sky.ports[port].outlets.open_count
        pthread_mutex_unlock(&self.sky.lock)
        return count

    @property
    def waiting(self):
        cdef size_t count
        pthread_mutex_lock(&self.sky.lock)
        count = self.sky.waiters
        pthread_mutex_unlock(&self.sky.lock)
        return count

    @property
    def opened(self):
        return reading(&self.sky.opened)

    @property
    def landed_count(self):
        return reading(&self.sky.landed)

    @property
    def untold(self):
        return reading(&self.sky.untold)

    def handed_over_count(self, trouble):
        cdef int number = flight_contract.Trouble(trouble)
        return reading(&self.sky.handed_over[number])

    def set_names(self, NameSet names not None):
        pthread_mutex_lock(&self.sky.lock)
        self.sky.names = &names.names
        pthread_mutex_unlock(&self.sky.lock)
        self.names = names

    def set_server(self, unsigned int number, address):
        cdef Target target
        cdef bytes packed = address[0]
        cdef unsigned int port = address[1], scope = address[2]
        if number >= MAX_SERVERS or len(packed) not in (4, 16) or port > 65535:
            raise ValueError("no number or no address of a server")
        memset(&target, 0, sizeof(target))
        target.address.sin6_port = socket.htons(port)
        target.family = socket.AF_INET if len(packed) == 4 else socket.AF_INET6
        target.address.sin6_family = <uint16_t>target.family
        if len(packed) == 4:
            memcpy(&(<sockaddr_in*>&target.address).sin_addr, <const uint8_t*>packed, 4)
            target.size = 16
        else:
            memcpy(&target.address.sin6_addr, <const uint8_t*>packed, 16)
            target.address.sin6_scope_id = scope
            target.size = sizeof(sockaddr_in6)
        pthread_mutex_lock(&self.sky.lock)
        self.sky.plan.targets[number] = target
        pthread_mutex_unlock(&self.sky.lock)

    def grant(self, granted):
        cdef Plan* plan = &self.sky.plan
        cdef Plan fresh
        cdef int place
        memset(&fresh, 0, sizeof(Plan))
        fresh.until = -math.inf
        if granted is not None:
            if not 1 <= len(granted.servers) <= MAX_CHOICE:
                raise ValueError("a plan names 1 to 16 servers")
            fresh.until = granted.until
            fresh.patience = granted.patience
            fresh.choice = flight_contract.Choice(granted.choice)
            fresh.count = <uint8_t>len(granted.servers)
            fresh.one_in = max(<unsigned int>granted.one_in, <unsigned int>1)
            fresh.no_aaaa = granted.no_aaaa
            fresh.in_flight = granted.in_flight
            fresh.waiters = granted.waiters
            fresh.per_client = min(<unsigned int>granted.per_client, <unsigned int>0xFFFF)
            (
                fresh.ttls.least, fresh.ttls.most, fresh.ttls.least_negative, fresh.ttls.most_negative
            ) = granted.ttls
            for place, (number, edns) in enumerate(granted.servers):
                if not 0 <= number < MAX_SERVERS:
                    raise ValueError("no number of a server")
                fresh.servers[place] = number
                fresh.edns[place] = bool(edns)
        pthread_mutex_lock(&self.sky.lock)
        memcpy(fresh.targets, plan.targets, sizeof(fresh.targets))
        fresh.turn = plan.turn
        plan[0] = fresh
        pthread_mutex_unlock(&self.sky.lock)

    def may_fly(self, bytes name not None, unsigned int qtype):
        cdef uint8_t key[MAX_KEY]
        cdef size_t size = _write_key(name, qtype, False, key)
        cdef bint may
        pthread_mutex_lock(&self.sky.lock)
        may = may_fly(&self.sky, key, size, qtype)
        pthread_mutex_unlock(&self.sky.lock)
        return may

    def waiting_of(self, bytes address not None):
        cdef uint16_t source = source_of(&self.sky, <const uint8_t*>address, len(address))
        cdef uint16_t count
        pthread_mutex_lock(&self.sky.lock)
        count = self.sky.sources[source]
        pthread_mutex_unlock(&self.sky.lock)
        return count

    def claim(self, bytes name not None, unsigned int qtype, bint cd, double until):
        cdef Sky* sky = &self.sky
        cdef uint8_t key[MAX_KEY]
        cdef size_t size = _write_key(name, qtype, cd, key)
        cdef uint64_t hash = siphash(sky.store.k0, sky.store.k1, key, size)
        cdef uint32_t number
        cdef Flight taken
        cdef bint found = False
        pthread_mutex_lock(&sky.lock)
        number = find_flight(sky, hash, key, size)
        if number and sky.flights[number].state == ALOFT:
            hand_over(sky, number, CLAIMED, 0, NULL, 0)
        if number and sky.flights[number].state == HANDED:
            _take(sky, number, until, &taken)
            found = True
        else:
            if number:
                let_go(sky, number)
            number = take_slot(sky, hash, key, size)
            if number:
                hold(sky, number, until)
        pthread_mutex_unlock(&sky.lock)
        return _handed_over(&taken) if found else None

    def release(self, bytes name not None, unsigned int qtype, bint cd, double until):
        cdef Sky* sky = &self.sky
        cdef uint8_t key[MAX_KEY]
        cdef size_t size = _write_key(name, qtype, cd, key)
        cdef uint64_t hash = siphash(sky.store.k0, sky.store.k1, key, size)
        cdef uint32_t number
        pthread_mutex_lock(&sky.lock)
        number = find_flight(sky, hash, key, size)
        if number and sky.flights[number].is_claimed:
            sky.flights[number].is_claimed = False
            sky.claimed -= 1
            sky.flights[number].due = until
            if until <= 0:
                let_go(sky, number)
        pthread_mutex_unlock(&sky.lock)

    def handed_over(self, unsigned int most, double until):
        cdef Sky* sky = &self.sky
        cdef list flights = []
        cdef Flight taken
        cdef bint found = True
        _silence(sky)
        while most:
            most -= 1
            pthread_mutex_lock(&sky.lock)
            found = sky.handed.first != 0
            if found:
                _take(sky, sky.handed.first, until, &taken)
            pthread_mutex_unlock(&sky.lock)
            if not found:
                break
            flights.append(_handed_over(&taken))
        if found:
            # What is left over makes the descriptor readable again.
            pthread_mutex_lock(&sky.lock)
            if sky.handed.first:
                ring(sky)
            pthread_mutex_unlock(&sky.lock)
        return flights

    def landed(self):
        cdef Sky* sky = &self.sky
        cdef list answers = []
        cdef Landed* landed
        cdef Landed* told
        _silence(sky)
        pthread_mutex_lock(&sky.lock)
        landed = sky.landed_first
        sky.landed_first = sky.landed_last = NULL
        sky.landed_count = 0
        pthread_mutex_unlock(&sky.lock)
        try:
            while landed != NULL:
                told = landed
                landed = told.next
                try:
                    answers.append(_landed(told))
                finally:
                    free(told)
        finally:
            while landed != NULL:
                told = landed
                landed = told.next
                free(told)
        return answers

    def tally(self):
        cdef Tally counted
        pthread_mutex_lock(&self.sky.lock)
        counted = self.sky.tally
        memset(&self.sky.tally, 0, sizeof(Tally))
        pthread_mutex_unlock(&self.sky.lock)
        return flight_contract.Tally(
            (tuple(counted.requests[0]), tuple(counted.requests[1])),
            counted.answers, counted.denials, counted.coalesced, tuple(counted.waits), counted.waited,
        )


cdef size_t _write_key(bytes name, unsigned int qtype, bint cd, uint8_t* key) except 0:
    """Write the key of a question without DO into MAX_KEY octets, as the gate makes it; returns its length."""
    cdef size_t size = len(name)
    check_name(name)
    memcpy(key, <const uint8_t*>name, size)
    key[size] = <uint8_t>(qtype >> 8)
    key[size + 1] = <uint8_t>qtype
    key[size + 2] = CD_BIT if cd else 0
    return size + 3


cdef void _silence(Sky* sky) noexcept:
    """The event loop looks now."""
    cdef uint64_t rung
    pthread_mutex_lock(&sky.lock)
    if sky.is_rung:
        read(sky.event, &rung, sizeof(rung))
        sky.is_rung = False
    pthread_mutex_unlock(&sky.lock)


cdef void _take(Sky* sky, uint32_t number, double until, Flight* taken) noexcept:
    """Take a flight that is handed over out of its slot, which from now on holds its key."""
    cdef Flight* flight = &sky.flights[number]
    cdef Waiter* waiter = flight.first
    taken[0] = flight[0]
    while waiter != NULL:
        wait_no_more(sky, waiter)
        waiter = waiter.next
    flight.first = flight.last = NULL
    flight.waiter_count = 0
    flight.reply = NULL
    flight.fd = -1
    pull(sky, &sky.handed, number)
    hold(sky, number, until)


cdef void _free_parts(Flight* flight) noexcept:
    cdef Waiter* waiter
    free(flight.reply)
    flight.reply = NULL
    while flight.first != NULL:
        waiter = flight.first
        flight.first = waiter.next
        free(waiter)


cdef object _handed_over(Flight* taken):
    """See `hsdnsd.native.flight_contract.HandedOver`."""
    cdef Waiter* waiter = taken.first
    cdef uint8_t* behind_name = taken.key + taken.key_size - 3
    cdef list waiters = []
    cdef bytes reply = None
    try:
        while waiter != NULL:
            waiters.append((
                waiter.port,
                PyBytes_FromStringAndSize(<char*>wire_of(waiter), waiter.size),
                PyBytes_FromStringAndSize(<char*>waiter.peer, waiter.peer_size),
                waiter.arrived,
            ))
            waiter = waiter.next
        if taken.reply != NULL:
            reply = PyBytes_FromStringAndSize(<char*>taken.reply, taken.reply_size)
    finally:
        _free_parts(taken)
    return flight_contract.HandedOver(
        PyBytes_FromStringAndSize(<char*>taken.key, taken.key_size - 3),
        (behind_name[0] << 8) | behind_name[1],
        bool(behind_name[2] & CD_BIT),
        taken.server,
        bool(taken.edns),
        taken.id,
        taken.sent_at,
        taken.fd,
        _TROUBLES[taken.trouble],
        reply,
        taken.problem,
        waiters,
    )


cdef object _landed(Landed* landed):
    """See `hsdnsd.native.flight_contract.Landed`."""
    cdef char* ttls = <char*>landed + sizeof(Landed)
    cdef char* body = ttls + 2 * landed.ttl_count
    cdef char* key = body + landed.body_size
    cdef uint8_t* behind_name = <uint8_t*>key + landed.key_size - 3
    answer = Answer(
        landed.rcode, False, landed.an, landed.ns, 0, PyBytes_FromStringAndSize(body, landed.body_size),
        PyBytes_FromStringAndSize(ttls, 2 * landed.ttl_count), landed.ttl,
        landed.rotate_at, landed.rotate_count, landed.rotate_size,
    )
    return flight_contract.Landed(
        PyBytes_FromStringAndSize(key, landed.key_size - 3), (behind_name[0] << 8) | behind_name[1],
        bool(behind_name[2] & CD_BIT), answer, landed.keep, landed.at, landed.took, landed.server,
        bool(landed.edns), bool(landed.has_opt),
    )
