"""How a flight ends."""

from libc.stdint cimport uint32_t

from hsdnsd.native._sky cimport Port, Sky

cdef void land(Sky* sky, Port* port, uint32_t outlet, double now) noexcept nogil
