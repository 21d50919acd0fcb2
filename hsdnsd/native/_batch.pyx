"""One UDP socket, by recvmmsg and sendmmsg (contract: `hsdnsd.native.contract.Batch`; twin: `_batch_py`)."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.errno cimport EAGAIN, ECONNREFUSED, EHOSTUNREACH, EINTR, ENETDOWN, ENETUNREACH, ENOBUFS, ENOMEM
from libc.stdint cimport uint8_t

import os

from hsdnsd.native import contract

from hsdnsd.native._datagrams cimport (
    LATENCY_PLACES, MAX_PEER, is_cut, octets_of, reply_to_peer, write_batch, write_peer
)
from hsdnsd.native._serve cimport (
    RCODE_PLACES, SIZE_PLACES, TYPE_PLACES, Server, Sizes, close_server, open_server, serve
)
from hsdnsd.native._table cimport Table

cdef enum:
    # Batches read in one call as long as they come full and hold nothing but hits: saves the way through the event
    # loop, and gives it back after about a millisecond.
    ROUNDS = 8


cdef class Batch:
    """See `hsdnsd.native.contract.Batch`."""

    cdef Server server
    cdef Table table
    cdef object sock

    def __cinit__(self, sock, Table table not None, unsigned int size=contract.BATCH):
        self.sock = sock
        self.table = table
        open_server(&self.server, &table.store, sock, size)

    def __dealloc__(self):
        close_server(&self.server)

    @property
    def received(self):
        return self.server.lane.received

    @property
    def sent(self):
        return self.server.lane.sent

    @property
    def hits(self):
        return self.server.hits

    @property
    def hits_do(self):
        return self.server.hits_do

    @property
    def refused_source(self):
        return self.server.lane.refused_source

    @property
    def send_errors(self):
        return self.server.lane.send_errors

    @property
    def send_full(self):
        return self.server.lane.send_full

    @property
    def kernel_drops(self):
        return self.server.lane.kernel_drops

    def hit_types(self, bint own):
        return tuple(self.server.by_zone[own].types[place] for place in range(TYPE_PLACES))

    def hit_rcodes(self, bint own):
        return tuple(self.server.by_zone[own].rcodes[place] for place in range(RCODE_PLACES))

    def hit_query_sizes(self, bint own):
        return _snapshot(&self.server.by_zone[own].queries)

    def hit_reply_sizes(self, bint own):
        return _snapshot(&self.server.by_zone[own].replies)

    def latency(self, outcome):
        cdef int number = contract.Outcome(outcome)
        counts = tuple(self.server.lane.latency[number].counts[place] for place in range(LATENCY_PLACES))
        return counts, self.server.lane.latency[number].nanoseconds

    def receive(self, double now):
        cdef int fd = self.sock.fileno()
        cdef int count = 0
        cdef int _
        with nogil:
            for _ in range(ROUNDS):
                count = serve(&self.server, fd, now)
                if count != <int>self.server.lane.size or self.server.up_count:
                    break
        if count < 0 and not _is_of_the_network(-count):
            raise OSError(-count, os.strerror(-count))
        return [_datagram(&self.server, self.server.up[number]) for number in range(self.server.up_count)]

    def send(self, replies):
        cdef int fd = self.sock.fileno()
        cdef tuple held = tuple(replies)  # keeps the octets where they are while the kernel reads them
        cdef bytes wire, peer
        for wire, peer in held:
            if self.server.lane.out_count == self.server.lane.size:
                with nogil:
                    write_batch(&self.server.lane, fd)
            if not reply_to_peer(
                &self.server.lane,
                <const uint8_t*>PyBytes_AS_STRING(peer), PyBytes_GET_SIZE(peer),
                <const uint8_t*>PyBytes_AS_STRING(wire), PyBytes_GET_SIZE(wire),
            ):
                self.server.lane.out_count = 0
                raise ValueError("a peer of another family than the socket's")
        with nogil:
            write_batch(&self.server.lane, fd)


cdef bint _is_of_the_network(int problem) noexcept:
    """Whether reading failed for now only, or for what an ICMP message told of an earlier reply."""
    return problem in (EAGAIN, EINTR, ECONNREFUSED, EHOSTUNREACH, ENETUNREACH, ENETDOWN, ENOBUFS, ENOMEM)


cdef tuple _datagram(Server* server, unsigned int number):
    """(wire, peer, truncated)"""
    cdef uint8_t peer[MAX_PEER]
    cdef size_t peer_size = write_peer(&server.lane, number, peer)
    return (
        PyBytes_FromStringAndSize(<char*>octets_of(&server.lane, number), server.lane.in_heads[number].msg_len),
        PyBytes_FromStringAndSize(<char*>peer, peer_size),
        is_cut(&server.lane, number),
    )


cdef tuple _snapshot(Sizes* sizes):
    return tuple(sizes.counts[place] for place in range(SIZE_PLACES)), sizes.octets
