"""Watching descriptors (epoll(7)), each under a token of the watcher's."""

from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memset

cdef extern from "<sys/epoll.h>" nogil:
    ctypedef union epoll_data_t:
        uint64_t u64
    struct epoll_event:
        uint32_t events
        epoll_data_t data
    enum:
        EPOLLIN, EPOLLEXCLUSIVE, EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CLOEXEC
    int epoll_create1(int)
    int epoll_ctl(int, int, int, epoll_event*)
    int epoll_wait(int, epoll_event*, int, int)


cdef inline bint watch(int epoll, int fd, uint64_t token, uint32_t how=0) noexcept nogil:
    """Tell when a descriptor is readable; False, and errno: it can't be watched.

    With EPOLLEXCLUSIVE only one is told of those who watch it so: the first who waits, in the order in which they came.
    """
    cdef epoll_event event
    memset(&event, 0, sizeof(event))
    event.events = EPOLLIN | how
    event.data.u64 = token
    return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0
