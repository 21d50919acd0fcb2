"""One UDP socket, read by a thread that never needs the interpreter (contract: `hsdnsd.native.contract.Worker`).

Hits are answered by the thread, whatever Python is doing. What the table does not hold waits in a bounded queue, and an
eventfd tells the event loop. The table's lock is held for a batch of look-ups, never over a system call.
"""

import os

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.errno cimport errno
from libc.stdint cimport uint8_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec
from posix.unistd cimport close, read, write

from hsdnsd.native._counter cimport count, reading
from hsdnsd.native._datagrams cimport MAX_PEER, Lane, is_cut, octets_of, read_batch, write_peer
from hsdnsd.native._endpoint cimport Endpoint, is_of_the_network
from hsdnsd.native._serve cimport Server, answer_batch
from hsdnsd.native._table cimport (
    pthread_mutex_destroy, pthread_mutex_init, pthread_mutex_lock, pthread_mutex_t, pthread_mutex_unlock
)

from hsdnsd.native import contract

cdef extern from "<pthread.h>" nogil:
    ctypedef struct pthread_t:
        pass
    int pthread_create(pthread_t*, void*, void* (*)(void*) noexcept nogil, void*)
    int pthread_join(pthread_t, void**)

cdef extern from "<signal.h>" nogil:
    ctypedef struct sigset_t:
        pass
    enum:
        SIG_SETMASK
    int sigfillset(sigset_t*)
    int pthread_sigmask(int, const sigset_t*, sigset_t*)

cdef extern from "<poll.h>" nogil:
    struct pollfd:
        int fd
        short events
        short revents
    enum:
        POLLIN
    int poll(pollfd*, unsigned long, int)

cdef extern from "<sys/eventfd.h>" nogil:
    enum:
        EFD_NONBLOCK, EFD_CLOEXEC
    int eventfd(unsigned int, int)

cdef enum:
    # What is read after `close` was called: all that waits in the largest receive buffer, and no flood without end.
    LAST_BATCHES = 512
    # How many full batches are served before looking whether the end has come.
    BATCHES_IN_A_ROW = 64

cdef size_t MAX_WAITING = contract.MAX_WAITING
cdef size_t MAX_WAITING_BYTES = contract.MAX_WAITING_BYTES

# One datagram on its way to Python; peer and octets follow in the same block.
cdef struct Waiting:
    Waiting* next
    size_t size
    size_t peer_size
    bint is_cut

# From the thread to the event loop.
cdef struct Passage:
    pthread_mutex_t lock  # over the next five
    Waiting* first
    Waiting* last
    size_t count
    size_t bytes
    int problem  # errno of what ended the thread
    int event  # readable while something waits
    uint64_t full  # datagrams dropped because too many waited

# All that the thread touches.
cdef struct Post:
    Server* server
    Passage passage
    pthread_t thread
    int fd
    int stop  # eventfd, readable when the thread is to end
    bint is_running


cdef void _ring(int event) noexcept nogil:
    """Make an eventfd readable. It can only fail by being readable already (EAGAIN)."""
    cdef uint64_t one = 1
    write(event, &one, sizeof(one))


cdef void _silence(int event) noexcept nogil:
    cdef uint64_t rung
    read(event, &rung, sizeof(rung))


# The thread's side.

cdef void* _run(void* argument) noexcept nogil:
    """Read while something is there, then wait for more, or for the end."""
    cdef Post* post = <Post*>argument
    cdef pollfd[2] watched
    cdef int left
    watched[0].fd = post.fd
    watched[1].fd = post.stop
    watched[0].events = watched[1].events = POLLIN
    while _serve_batches(post) >= 0:
        poll(watched, 2, -1)
        if watched[1].revents:
            break
    left = LAST_BATCHES
    while left and _serve_batch(post) > 0:
        left -= 1
    return NULL


cdef int _serve_batches(Post* post) noexcept nogil:
    """Serve until a batch comes that is not full, as nothing waits behind it. Below 0: see `_serve_batch`."""
    cdef int came = <int>post.server.lane.size
    cdef int left = BATCHES_IN_A_ROW
    while left and came == <int>post.server.lane.size:
        came = _serve_batch(post)
        left -= 1
    return came


cdef int _serve_batch(Post* post) noexcept nogil:
    """Serve one batch; returns how many datagrams it had, below 0 if the socket can't be read any more."""
    cdef timespec clock
    cdef int came = read_batch(&post.server.lane, post.fd)
    if came < 0:
        if is_of_the_network(-came):
            return 0
        _fail(&post.passage, -came)
        return came
    clock_gettime(CLOCK_MONOTONIC, &clock)
    answer_batch(post.server, post.fd, <double>clock.tv_sec + 1e-9 * <double>clock.tv_nsec)
    _pass_up(post)
    return came


cdef void _fail(Passage* passage, int problem) noexcept nogil:
    """Tell the event loop that this is the end."""
    pthread_mutex_lock(&passage.lock)
    passage.problem = problem
    _ring(passage.event)
    pthread_mutex_unlock(&passage.lock)


cdef void _pass_up(Post* post) noexcept nogil:
    """Queue what the table does not hold."""
    cdef Waiting* waiting
    cdef unsigned int number
    for number in range(post.server.up_count):
        waiting = _copy(&post.server.lane, post.server.up[number])
        if waiting == NULL or not _enqueue(&post.passage, waiting):
            free(waiting)
            count(&post.passage.full, 1)


cdef Waiting* _copy(Lane* lane, unsigned int number) noexcept nogil:
    """A datagram in a block of its own; NULL: no memory."""
    cdef uint8_t peer[MAX_PEER]
    cdef size_t peer_size = write_peer(lane, number, peer)
    cdef size_t size = lane.in_heads[number].msg_len
    cdef Waiting* waiting = <Waiting*>malloc(sizeof(Waiting) + peer_size + size)
    if waiting != NULL:
        waiting.next = NULL
        waiting.size = size
        waiting.peer_size = peer_size
        waiting.is_cut = is_cut(lane, number)
        memcpy(_peer_of(waiting), peer, peer_size)
        memcpy(_octets_of(waiting), octets_of(lane, number), size)
    return waiting


cdef inline uint8_t* _peer_of(Waiting* waiting) noexcept nogil:
    return <uint8_t*>waiting + sizeof(Waiting)


cdef inline uint8_t* _octets_of(Waiting* waiting) noexcept nogil:
    return _peer_of(waiting) + waiting.peer_size


cdef bint _enqueue(Passage* passage, Waiting* waiting) noexcept nogil:
    """False: there is no room."""
    cdef size_t size = sizeof(Waiting) + waiting.peer_size + waiting.size
    cdef bint has_room
    pthread_mutex_lock(&passage.lock)
    has_room = passage.count < MAX_WAITING and passage.bytes + size <= MAX_WAITING_BYTES
    if has_room:
        if passage.first == NULL:
            passage.first = waiting
            _ring(passage.event)
        else:
            passage.last.next = waiting
        passage.last = waiting
        passage.count += 1
        passage.bytes += size
    pthread_mutex_unlock(&passage.lock)
    return has_room


# The event loop's side.

cdef int _take(Passage* passage, size_t most, Waiting** taken) noexcept nogil:
    """The oldest datagrams that wait, not more than `most`; what is left keeps the eventfd readable.

    Returns the errno of what ended the thread, or 0.
    """
    cdef Waiting* last = NULL
    cdef int problem
    pthread_mutex_lock(&passage.lock)
    problem = passage.problem
    taken[0] = passage.first
    while passage.first != NULL and most:
        last = passage.first
        passage.first = last.next
        passage.count -= 1
        passage.bytes -= sizeof(Waiting) + last.peer_size + last.size
        most -= 1
    if last != NULL:
        last.next = NULL
    else:
        taken[0] = NULL
    if passage.first == NULL and problem == 0:
        _silence(passage.event)
    pthread_mutex_unlock(&passage.lock)
    return problem


cdef int _start(Post* post) except -1:
    """Begin the thread, with every signal blocked: they are Python's."""
    cdef sigset_t all_signals, before
    cdef int problem
    sigfillset(&all_signals)
    pthread_sigmask(SIG_SETMASK, &all_signals, &before)
    problem = pthread_create(&post.thread, NULL, _run, post)
    pthread_sigmask(SIG_SETMASK, &before, NULL)
    if problem:
        raise OSError(problem, os.strerror(problem))
    post.is_running = True
    return 0


cdef void _stop(Post* post) noexcept nogil:
    """End the thread, after it has served what waits in the socket, and let go of the socket."""
    if post.is_running:
        _ring(post.stop)
        pthread_join(post.thread, NULL)
        post.is_running = False
    if post.fd >= 0:
        close(post.fd)
        post.fd = -1


cdef class Worker(Endpoint):
    """See `hsdnsd.native.contract.Worker`."""

    cdef Post post

    def __cinit__(self, sock, table, size=contract.BATCH):
        self.post.passage.event = self.post.stop = self.post.fd = -1
        if pthread_mutex_init(&self.post.passage.lock, NULL) != 0:
            raise MemoryError
        self.post.server = &self.server  # from here on there is something to undo
        self.post.passage.event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)
        self.post.stop = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)
        if self.post.passage.event < 0 or self.post.stop < 0:
            raise OSError(errno, os.strerror(errno))
        # The thread must not find another file under its number when the caller closes the socket.
        self.post.fd = os.dup(sock.fileno())
        _start(&self.post)

    def __dealloc__(self):
        cdef Waiting* waiting
        if self.post.server == NULL:
            return
        _stop(&self.post)
        while self.post.passage.first != NULL:
            waiting = self.post.passage.first
            self.post.passage.first = waiting.next
            free(waiting)
        if self.post.passage.event >= 0:
            close(self.post.passage.event)
        if self.post.stop >= 0:
            close(self.post.stop)
        pthread_mutex_destroy(&self.post.passage.lock)

    def fileno(self):
        return self.post.passage.event

    @property
    def up_full(self):
        return reading(&self.post.passage.full)

    def receive(self, double now):
        cdef Waiting* waiting = NULL
        cdef Waiting* taken
        cdef list datagrams = []
        cdef int problem = _take(&self.post.passage, self.server.lane.size, &waiting)
        if waiting == NULL and problem:
            raise OSError(problem, os.strerror(problem))
        while waiting != NULL:
            taken = waiting
            waiting = waiting.next
            try:
                datagrams.append(_datagram(taken))
            finally:
                free(taken)
        return datagrams

    def close(self):
        with nogil:
            _stop(&self.post)


cdef tuple _datagram(Waiting* waiting):
    """(wire, peer, truncated)"""
    return (
        PyBytes_FromStringAndSize(<char*>_octets_of(waiting), waiting.size),
        PyBytes_FromStringAndSize(<char*>_peer_of(waiting), waiting.peer_size),
        waiting.is_cut,
    )
