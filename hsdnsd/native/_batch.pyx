"""One UDP socket, read where the event loop finds it readable (contract: `hsdnsd.native.contract.Batch`)."""

import os

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport uint8_t

from hsdnsd.native._datagrams cimport MAX_PEER, is_cut, octets_of, read_batch, write_peer
from hsdnsd.native._endpoint cimport Endpoint, is_of_the_network
from hsdnsd.native._serve cimport Server, answer_batch

cdef enum:
    # Batches read in one call as long as they come full and hold nothing but hits: saves the way through the event
    # loop, and gives it back after about a millisecond.
    ROUNDS = 8


cdef class Batch(Endpoint):
    """See `hsdnsd.native.contract.Batch`."""

    def fileno(self):
        return self.sock.fileno()

    @property
    def up_full(self):
        return 0

    def receive(self, double now):
        cdef int fd = self.sock.fileno()
        cdef int count = 0, left = ROUNDS
        self.server.up_count = 0
        with nogil:
            while left > 0:
                left -= 1
                count = read_batch(&self.server.lane, fd)
                if count <= 0:
                    break
                answer_batch(&self.server, fd, now)
                if count != <int>self.server.lane.size or self.server.up_count:
                    break
        if count < 0 and not is_of_the_network(-count):
            raise OSError(-count, os.strerror(-count))
        return [_datagram(&self.server, self.server.up[number]) for number in range(self.server.up_count)]


cdef tuple _datagram(Server* server, unsigned int number):
    """(wire, peer, truncated)"""
    cdef uint8_t peer[MAX_PEER]
    cdef size_t peer_size = write_peer(&server.lane, number, peer)
    return (
        PyBytes_FromStringAndSize(<char*>octets_of(&server.lane, number), server.lane.in_heads[number].msg_len),
        PyBytes_FromStringAndSize(<char*>peer, peer_size),
        is_cut(&server.lane, number),
    )
