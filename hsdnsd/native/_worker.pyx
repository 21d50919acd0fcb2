"""One UDP socket, read by a thread that never needs the interpreter (contract: `hsdnsd.native.contract.Worker`).

Hits are answered by the thread, whatever Python is doing, and so is what an upstream answers plainly (`_flight`). The
rest waits in a bounded queue, and an eventfd tells the event loop. The table's lock is held for a batch of look-ups,
never over a system call.

A core may be taken from a thread for milliseconds, by a hypervisor or by the kernel, and what then comes would wait for
that one. So a second worker may watch the same socket, the spare: the kernel tells it only of what comes while the
first is not waiting for anything. It serves one batch and rests, so that a flood is still one thread's work.
"""

import os

cimport cython
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.errno cimport errno
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec
from posix.unistd cimport close, read, write

from hsdnsd.native._counter cimport count, reading
from hsdnsd.native._datagrams cimport (
    MAX_PEER, Lane, close_lane, is_cut, octets_of, open_lane, read_batch, write_batch, write_peer
)
from hsdnsd.native._epoll cimport (
    EPOLL_CLOEXEC, EPOLL_CTL_DEL, EPOLLEXCLUSIVE, epoll_create1, epoll_ctl, epoll_event, epoll_wait, watch
)
from hsdnsd.native._endpoint cimport Endpoint, is_of_the_network
from hsdnsd.native._flight cimport fly
from hsdnsd.native._flights cimport Flights
from hsdnsd.native._landing cimport land
from hsdnsd.native._outlets cimport TOKENS, close_outlets, open_outlets
from hsdnsd.native._serve cimport Server, answer_batch
from hsdnsd.native._sky cimport Port, Sky, expire, join_sky, leave_sky, patience, ring_for_due
from hsdnsd.native._table cimport (
    pthread_mutex_destroy, pthread_mutex_init, pthread_mutex_lock, pthread_mutex_t, pthread_mutex_unlock
)
from hsdnsd.native._turns cimport EVENT_TURN, SHORT_TURN, ask_for_turns

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

cdef extern from "<sys/eventfd.h>" nogil:
    enum:
        EFD_NONBLOCK, EFD_CLOEXEC
    int eventfd(unsigned int, int)

cdef enum:
    # What is read after `close` was called: all that waits in the largest receive buffer, and no flood without end.
    LAST_BATCHES = 512
    # How many full batches are served before looking whether the end has come.
    BATCHES_IN_A_ROW = 64
    # What is watched: the socket, the end, and from TOKENS on what replies of upstreams come on.
    SOCKET = 0
    STOP = 1
    EVENTS = 64
    # Milliseconds: the shortest wait that epoll_wait knows.
    REST = 1

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
    Sky* sky  # NULL: no flights
    Port port
    pthread_t thread
    int fd
    int epoll
    int stop  # eventfd, readable when the thread is to end
    bint is_running
    bint may_fly
    bint has_flown  # in the batch that was served last
    bint is_spare
    double rests_until  # until then the socket is not watched; 0.0: it is


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
    cdef int left = LAST_BATCHES
    ask_for_turns(SHORT_TURN)
    post.may_fly = post.sky != NULL
    if _serve_batches(post) >= 0:
        while _turn(post):
            pass
    if post.may_fly:
        # From here on there is nobody who would see what an upstream says.
        post.may_fly = False
        leave_sky(post.sky, &post.port)
    while left and _serve_batch(post) > 0:
        left -= 1
    return NULL


cdef bint _turn(Post* post) noexcept nogil:
    """Wait until something comes, and see to it; False: this is the end."""
    cdef epoll_event events[EVENTS]
    cdef double now
    cdef bint readable = False, is_end = False
    cdef uint64_t token
    cdef int number, came = epoll_wait(post.epoll, events, EVENTS, _patience(post))
    now = _monotonic()
    for number in range(came):
        token = events[number].data.u64
        if token == SOCKET:
            readable = True
        elif token == STOP:
            is_end = True
        else:
            land(post.sky, &post.port, <uint32_t>(token - TOKENS), now)
    if post.server.lane.out_count:
        write_batch(&post.server.lane, post.fd)
    if is_end or (readable and _serve_batches(post) < 0):
        return False
    if readable and post.is_spare:
        _rest(post, now)
    elif post.rests_until != 0.0 and now >= post.rests_until:
        _go_on(post, now)
    if post.may_fly:
        expire(post.sky, now)
    return True


cdef void _rest(Post* post, double now) noexcept nogil:
    """Leave what comes next to the first worker."""
    epoll_ctl(post.epoll, EPOLL_CTL_DEL, post.fd, NULL)
    post.rests_until = now + 1e-3 * REST


cdef void _go_on(Post* post, double now) noexcept nogil:
    """Watch the socket again, as the last in the row."""
    post.rests_until = 0.0 if watch(post.epoll, post.fd, SOCKET, EPOLLEXCLUSIVE) else now + 1e-3 * REST


cdef int _patience(Post* post) noexcept nogil:
    """Milliseconds to wait at most; -1: for ever."""
    cdef int wait = patience(post.sky, _monotonic()) if post.may_fly else -1
    if post.rests_until != 0.0 and not 0 <= wait <= REST:
        wait = REST
    return wait


cdef double _monotonic() noexcept nogil:
    cdef timespec clock
    clock_gettime(CLOCK_MONOTONIC, &clock)
    return <double>clock.tv_sec + 1e-9 * <double>clock.tv_nsec


cdef int _serve_batches(Post* post) noexcept nogil:
    """Serve until a batch comes that is not full, as nothing waits behind it, or a flight begins, whose reply may be
    there at once. Below 0: see `_serve_batch`.
    """
    cdef int came = <int>post.server.lane.size
    cdef int left = 1 if post.is_spare else BATCHES_IN_A_ROW
    post.has_flown = False
    while left and came == <int>post.server.lane.size and not post.has_flown:
        came = _serve_batch(post)
        left -= 1
    return came


cdef int _serve_batch(Post* post) noexcept nogil:
    """Serve one batch; returns how many datagrams it had, below 0 if the socket can't be read any more."""
    cdef double now
    cdef int came = read_batch(&post.server.lane, post.fd)
    if came < 0:
        if is_of_the_network(-came):
            return 0
        _fail(&post.passage, -came)
        return came
    now = _monotonic()
    answer_batch(post.server, post.fd, now)
    _pass_up(post, now)
    if post.may_fly and post.server.is_due:
        ring_for_due(post.sky)
    return came


cdef void _fail(Passage* passage, int problem) noexcept nogil:
    """Tell the event loop that this is the end."""
    pthread_mutex_lock(&passage.lock)
    passage.problem = problem
    _ring(passage.event)
    pthread_mutex_unlock(&passage.lock)


cdef void _pass_up(Post* post, double now) noexcept nogil:
    """Ask an upstream for what the table does not hold, or queue it."""
    cdef Waiting* waiting
    cdef unsigned int number, place
    for place in range(post.server.up_count):
        number = post.server.up[place]
        if (
            post.may_fly and post.server.questions[number].key_size
            and fly(post.sky, &post.port, number, &post.server.questions[number], now)
        ):
            post.has_flown = True
            continue
        waiting = _copy(&post.server.lane, number)
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


cdef int _watch(Post* post, int fd, uint64_t token, uint32_t how=0) except -1:
    if not watch(post.epoll, fd, token, how):
        raise OSError(errno, os.strerror(errno))
    return 0


# The collector may not take the table or the flights away before the thread has ended.
@cython.no_gc_clear
cdef class Worker(Endpoint):
    """See `hsdnsd.native.contract.Worker`."""

    cdef Post post
    cdef Flights flights

    def __cinit__(self, sock, table, size=contract.BATCH, Flights flights=None, bint spare=False):
        self.post.is_spare = spare
        self.post.passage.event = self.post.stop = self.post.fd = self.post.epoll = -1
        self.post.port.number = -1
        if pthread_mutex_init(&self.post.passage.lock, NULL) != 0:
            raise MemoryError
        self.post.server = &self.server  # from here on there is something to undo
        self.post.passage.event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)
        self.post.stop = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)
        self.post.epoll = epoll_create1(EPOLL_CLOEXEC)
        if self.post.passage.event < 0 or self.post.stop < 0 or self.post.epoll < 0:
            raise OSError(errno, os.strerror(errno))
        # The thread must not find another file under its number when the caller closes the socket.
        self.post.fd = os.dup(sock.fileno())
        _watch(&self.post, self.post.fd, SOCKET, EPOLLEXCLUSIVE)
        _watch(&self.post, self.post.stop, STOP)
        if flights is not None:
            self._join(flights, sock, size)
        _start(&self.post)

    cdef int _join(self, Flights flights, sock, size) except -1:
        """Have flights; they are closed by the thread at its end."""
        cdef Port* port = &self.post.port
        if flights.table is not self.table:
            raise ValueError("flights that end in another table")
        open_lane(&port.aside, sock, size)
        self.aside = &port.aside
        port.fd = self.post.fd
        if not open_outlets(&port.outlets, self.post.epoll, flights.sky.most):
            raise MemoryError
        port.lane = &self.server.lane
        port.is_v6 = self.server.lane.is_v6
        if join_sky(&flights.sky, port):
            self.flights = flights
            self.post.sky = &flights.sky
        return 0

    def __dealloc__(self):
        cdef Waiting* waiting
        if self.post.server == NULL:
            return
        _stop(&self.post)
        if self.post.sky != NULL:
            leave_sky(self.post.sky, &self.post.port)  # where the thread could not be started
        close_lane(&self.post.port.aside)
        close_outlets(&self.post.port.outlets)
        while self.post.passage.first != NULL:
            waiting = self.post.passage.first
            self.post.passage.first = waiting.next
            free(waiting)
        if self.post.passage.event >= 0:
            close(self.post.passage.event)
        if self.post.stop >= 0:
            close(self.post.stop)
        if self.post.epoll >= 0:
            close(self.post.epoll)
        pthread_mutex_destroy(&self.post.passage.lock)

    @property
    def number(self):
        return self.post.port.number

    @property
    def kernel_drops(self):
        # The kernel counts for the socket, and tells whoever reads it: one of them has the say.
        return 0 if self.post.is_spare else reading(&self.server.lane.kernel_drops)

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


def be_prompt():
    """See `_worker_py`."""
    ask_for_turns(EVENT_TURN)


cdef tuple _datagram(Waiting* waiting):
    """(wire, peer, truncated)"""
    return (
        PyBytes_FromStringAndSize(<char*>_octets_of(waiting), waiting.size),
        PyBytes_FromStringAndSize(<char*>_peer_of(waiting), waiting.peer_size),
        waiting.is_cut,
    )
