"""How a flight ends."""

from libc.stdint cimport uint64_t

from hsdnsd.native._sky cimport Port, Sky

cdef void land(Sky* sky, Port* port, uint64_t token, double now) noexcept nogil
