"""One served UDP socket: its counters, and the way of Python's replies.

Hits and replies have a lane each, so that they may be sent by different threads, and every counter has one writer.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.errno cimport EAGAIN, ECONNREFUSED, EHOSTUNREACH, EINTR, ENETDOWN, ENETUNREACH, ENOBUFS, ENOMEM
from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memset

from hsdnsd.native._counter cimport reading
from hsdnsd.native._datagrams cimport LATENCY_PLACES, Lane, close_lane, open_lane, reply_to_peer, write_batch
from hsdnsd.native._serve cimport RCODE_PLACES, SIZE_PLACES, TYPE_PLACES, Sizes, close_server, open_server
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

    def __cinit__(self, sock, Table table not None, unsigned int size=contract.BATCH, flights=None, spare=False):
        self.sock = sock
        self.table = table
        open_server(&self.server, &table.store, sock, size)
        open_lane(&self.replies, sock, size)

    def __dealloc__(self):
        close_server(&self.server)
        close_lane(&self.replies)

    @property
    def received(self):
        return reading(&self.server.lane.received)

    @property
    def sent(self):
        cdef uint64_t aside = reading(&self.aside.sent) if self.aside != NULL else 0
        return reading(&self.server.lane.sent) + reading(&self.replies.sent) + aside

    @property
    def hits(self):
        return reading(&self.server.hits)

    @property
    def hits_do(self):
        return reading(&self.server.hits_do)

    @property
    def refused_source(self):
        return reading(&self.server.lane.refused_source)

    @property
    def send_errors(self):
        cdef uint64_t aside = reading(&self.aside.send_errors) if self.aside != NULL else 0
        return reading(&self.server.lane.send_errors) + reading(&self.replies.send_errors) + aside

    @property
    def send_full(self):
        cdef uint64_t aside = reading(&self.aside.send_full) if self.aside != NULL else 0
        return reading(&self.server.lane.send_full) + reading(&self.replies.send_full) + aside

    @property
    def kernel_drops(self):
        return reading(&self.server.lane.kernel_drops)

    def hit_types(self, bint own):
        return _readings(self.server.by_zone[own].types, TYPE_PLACES)

    def hit_rcodes(self, bint own):
        return _readings(self.server.by_zone[own].rcodes, RCODE_PLACES)

    def hit_query_sizes(self, bint own):
        return _snapshot(&self.server.by_zone[own].queries)

    def hit_reply_sizes(self, bint own):
        return _snapshot(&self.server.by_zone[own].replies)

    def latency(self, outcome):
        cdef int number = contract.Outcome(outcome)
        cdef Lane* lanes[3]
        cdef uint64_t[LATENCY_PLACES] counts
        cdef uint64_t nanoseconds = 0
        cdef int lane, place
        memset(counts, 0, sizeof(counts))
        # What flights have brought leaves by the lane of the hits.
        lanes[0], lanes[1], lanes[2] = &self.server.lane, &self.replies, self.aside
        for lane in range(3):
            if lanes[lane] != NULL:
                for place in range(LATENCY_PLACES):
                    counts[place] += reading(&lanes[lane].latency[number].counts[place])
                nanoseconds += reading(&lanes[lane].latency[number].nanoseconds)
        return tuple(counts), nanoseconds

    def send(self, replies):
        cdef int fd = self.sock.fileno()
        cdef tuple held = tuple(replies)  # keeps the octets where they are while the kernel reads them
        cdef Lane* lane = &self.replies
        cdef bytes wire, peer
        lane.out_count = 0
        for wire, peer in held:
            if wire is None or peer is None:
                raise TypeError("a reply is octets and a peer")
            if lane.out_count == lane.size:
                with nogil:
                    write_batch(lane, fd)
            if not reply_to_peer(
                lane,
                <const uint8_t*>PyBytes_AS_STRING(peer), PyBytes_GET_SIZE(peer),
                <const uint8_t*>PyBytes_AS_STRING(wire), PyBytes_GET_SIZE(wire),
            ):
                raise ValueError("a peer of another family than the socket's")
        with nogil:
            write_batch(lane, fd)


cdef tuple _snapshot(Sizes* sizes):
    return _readings(sizes.counts, SIZE_PLACES), reading(&sizes.octets)


cdef tuple _readings(const uint64_t* counters, int places):
    return tuple([reading(&counters[place]) for place in range(places)])
