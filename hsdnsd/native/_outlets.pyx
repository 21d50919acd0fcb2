# cython: cdivision=True
"""Sockets that messages to upstreams leave from: one for each message, each time from another port.

A socket that has done its part is not closed. Its connection is dissolved, which gives its port back, and what came
late is read away; connecting it again draws another port (RFC 5452 section 9.2). That spares the kernel a socket's
birth and death for each message, and an entry in what the thread watches.
"""

from libc.errno cimport EAGAIN, errno
from libc.stdint cimport uint16_t, uint32_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset
from posix.unistd cimport close

from hsdnsd.native._datagrams cimport sockaddr_in6
from hsdnsd.native._epoll cimport EPOLL_CTL_DEL, epoll_ctl, watch

from hsdnsd.native import contract

cdef extern from "<sys/socket.h>" nogil:
    ctypedef unsigned int socklen_t
    enum:
        AF_UNSPEC, AF_INET6, SOCK_DGRAM, SOCK_NONBLOCK, SOCK_CLOEXEC, MSG_DONTWAIT
    int socket(int, int, int)
    int connect(int, const void*, socklen_t)
    int getsockname(int, void*, socklen_t*)
    ssize_t recv(int, void*, size_t, int)

cdef enum:
    # Messages until a port is used again. Of 1,000 that the kernel draws from its 28,232, 18 were used before.
    FRESH_FOR = 1024
    DRAWS = 3
    # Datagrams and errors that are read away from one socket; one with more is closed.
    MOST_LATE = 64

cdef uint32_t MAX_IDLE = contract.MAX_IDLE

# By port, in network order: the number of the last message that left from it. Under the lock of the flights.
cdef uint32_t[65536] _left_at
cdef uint32_t _messages = 0


cdef bint open_outlets(Outlets* outlets, int epoll, uint32_t most) noexcept nogil:
    """Make room for `most` at work; False: no memory."""
    memset(outlets, 0, sizeof(Outlets))
    outlets.epoll = epoll
    outlets.size = most + MAX_IDLE + 1
    outlets.fresh = 1
    outlets.all = <Outlet*>calloc(outlets.size, sizeof(Outlet))
    return outlets.all != NULL


cdef void close_outlets(Outlets* outlets) noexcept nogil:
    """Close all; none is at work any more."""
    cdef uint32_t number
    if outlets.all != NULL:
        for number in range(1, outlets.fresh):
            if outlets.all[number].fd >= 0:
                close(outlets.all[number].fd)
    free(outlets.all)
    memset(outlets, 0, sizeof(Outlets))


cdef uint32_t _open(Outlets* outlets, int family) noexcept nogil:
    """A new socket, watched; 0: there is none to be had."""
    cdef Outlet* outlet
    cdef uint32_t number = outlets.unopened or outlets.fresh
    if number == outlets.size:
        return 0
    outlet = &outlets.all[number]
    outlet.fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)
    if outlets.unopened:
        outlets.unopened = outlet.next
    else:
        outlets.fresh += 1
    outlet.family = <uint16_t>family
    outlet.flight = 0
    outlets.open_count += 1
    if outlet.fd >= 0 and watch(outlets.epoll, outlet.fd, TOKENS + number):
        return number
    _close(outlets, number)
    return 0


cdef void _close(Outlets* outlets, uint32_t number) noexcept nogil:
    """One that is in no stack."""
    cdef Outlet* outlet = &outlets.all[number]
    if outlet.fd >= 0:
        close(outlet.fd)
    _forget(outlets, number)


cdef void _forget(Outlets* outlets, uint32_t number) noexcept nogil:
    cdef Outlet* outlet = &outlets.all[number]
    outlet.fd = -1
    outlet.flight = 0
    outlets.open_count -= 1
    outlet.next = outlets.unopened
    outlets.unopened = number


cdef inline bint _dissolve(int fd) noexcept nogil:
    """Give the port of a socket back (connect(2): AF_UNSPEC)."""
    cdef sockaddr_in6 nobody
    nobody.sin6_family = AF_UNSPEC
    return connect(fd, &nobody, sizeof(nobody)) == 0


cdef bint _is_fresh(int fd) noexcept nogil:
    """Whether nothing has left from the port of a socket lately; from now on something has."""
    global _messages
    cdef sockaddr_in6 own
    cdef socklen_t size = sizeof(own)
    cdef uint32_t before
    if getsockname(fd, &own, &size) != 0:
        return True
    before = _left_at[own.sin6_port]
    _messages += 1
    _left_at[own.sin6_port] = _messages
    return before == 0 or <uint32_t>(_messages - before) > FRESH_FOR


cdef uint32_t take_outlet(Outlets* outlets, const Target* target, uint32_t flight) noexcept nogil:
    """A socket connected to a server, from a port that the kernel drew; 0: there is none to be had."""
    cdef int draw, stack = target.family == AF_INET6
    cdef uint32_t number = outlets.idle[stack]
    cdef Outlet* outlet
    if number:
        outlets.idle[stack] = outlets.all[number].next
        outlets.idle_count -= 1
    else:
        number = _open(outlets, target.family)
        if number == 0:
            return 0
    outlet = &outlets.all[number]
    for draw in range(DRAWS):
        if draw and not _dissolve(outlet.fd):
            break
        if connect(outlet.fd, &target.address, target.size) != 0:
            break
        if _is_fresh(outlet.fd) or draw + 1 == DRAWS:
            outlet.flight = flight
            return number
    _close(outlets, number)
    return 0


cdef bint drain(int fd) noexcept nogil:
    """Read away what waits at a socket, errors included; False: there is too much."""
    cdef char octet
    cdef int left = MOST_LATE
    while left:
        left -= 1
        if recv(fd, &octet, 1, MSG_DONTWAIT) < 0 and errno == EAGAIN:
            return True
    return False


cdef void put_back(Outlets* outlets, uint32_t number) noexcept nogil:
    """The socket has done its part."""
    cdef Outlet* outlet = &outlets.all[number]
    cdef int stack = outlet.family == AF_INET6
    if outlets.idle_count >= MAX_IDLE or not _dissolve(outlet.fd) or not drain(outlet.fd):
        _close(outlets, number)
        return
    outlet.flight = 0
    outlet.next = outlets.idle[stack]
    outlets.idle[stack] = number
    outlets.idle_count += 1


cdef int give_away(Outlets* outlets, uint32_t number) noexcept nogil:
    """The socket, still connected and watched by nobody: whoever takes it has to close it."""
    cdef int fd = outlets.all[number].fd
    epoll_ctl(outlets.epoll, EPOLL_CTL_DEL, fd, NULL)
    _forget(outlets, number)
    return fd
