"""One served UDP socket: its counters, and the way of Python's replies.

Hits and replies have a lane each, so that they may be sent by different threads. Every counter is written by one thread
alone, and read by another as it stands: a word of 64 bits is never seen half written.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.errno cimport EAGAIN, ECONNREFUSED, EHOSTUNREACH, EINTR, ENETDOWN, ENETUNREACH, ENOBUFS, ENOMEM
from libc.stdint cimport uint8_t

from hsdnsd.native._datagrams cimport LATENCY_PLACES, Lane, close_lane, open_lane, reply_to_peer, write_batch
from hsdnsd.native._serve cimport RCODE_PLACES, SIZE_PLACES, TYPE_PLACES, Server, Sizes, close_server, open_server
from hsdnsd.native._table cimport Table

from hsdnsd.native import contract


cdef bint is_of_the_network(int problem) noexcept nogil:
    """Whether reading failed for now only, or for what an ICMP message told of an earlier reply."""
    return (
        problem == EAGAIN or problem == EINTR or problem == ECONNREFUSED or problem == EHOSTUNREACH
        or problem == ENETUNREACH or problem == ENETDOWN or problem == ENOBUFS or problem == ENOMEM
    )


cdef class Endpoint:
    """See `hsdnsd.native.contract.Batch`, but for `receive`."""

    def __cinit__(self, sock, Table table not None, unsigned int size=contract.BATCH):
        self.sock = sock
        self.table = table
        open_server(&self.server, &table.store, sock, size)
        open_lane(&self.replies, sock, size)

    def __dealloc__(self):
        close_server(&self.server)
        close_lane(&self.replies)

    @property
    def received(self):
        return self.server.lane.received

    @property
    def sent(self):
        return self.server.lane.sent + self.replies.sent

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
        return self.server.lane.send_errors + self.replies.send_errors

    @property
    def send_full(self):
        return self.server.lane.send_full + self.replies.send_full

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
        cdef Lane* lane = &self.server.lane
        if number >= contract.Outcome.ENGINE_OWN:
            lane = &self.replies
        counts = tuple(lane.latency[number].counts[place] for place in range(LATENCY_PLACES))
        return counts, lane.latency[number].nanoseconds

    def send(self, replies):
        cdef int fd = self.sock.fileno()
        cdef tuple held = tuple(replies)  # keeps the octets where they are while the kernel reads them
        cdef Lane* lane = &self.replies
        cdef bytes wire, peer
        for wire, peer in held:
            if lane.out_count == lane.size:
                with nogil:
                    write_batch(lane, fd)
            if not reply_to_peer(
                lane,
                <const uint8_t*>PyBytes_AS_STRING(peer), PyBytes_GET_SIZE(peer),
                <const uint8_t*>PyBytes_AS_STRING(wire), PyBytes_GET_SIZE(wire),
            ):
                lane.out_count = 0
                raise ValueError("a peer of another family than the socket's")
        with nogil:
            write_batch(lane, fd)


cdef tuple _snapshot(Sizes* sizes):
    return tuple(sizes.counts[place] for place in range(SIZE_PLACES)), sizes.octets
