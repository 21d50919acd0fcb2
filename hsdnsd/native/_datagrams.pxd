"""Datagrams of one UDP socket, read and written in batches."""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

cdef extern from "<sys/socket.h>" nogil:
    ctypedef unsigned int socklen_t
    struct iovec:
        void* iov_base
        size_t iov_len
    struct msghdr:
        void* msg_name
        socklen_t msg_namelen
        iovec* msg_iov
        size_t msg_iovlen
        void* msg_control
        size_t msg_controllen
        int msg_flags
    struct mmsghdr:
        msghdr msg_hdr
        unsigned int msg_len

cdef extern from "<netinet/in.h>" nogil:
    struct in_addr:
        uint32_t s_addr
    struct sockaddr_in:
        uint16_t sin_family
        uint16_t sin_port
        in_addr sin_addr
    struct in6_addr:
        uint8_t s6_addr[16]
    struct sockaddr_in6:
        uint16_t sin6_family
        uint16_t sin6_port
        in6_addr sin6_addr
        uint32_t sin6_scope_id

cdef enum:
    # A datagram above this is cut off and comes up as such.
    MAX_DATAGRAM = 4096
    # Not a power of two, so that the beginnings of the buffers spread over the cache.
    IN_STRIDE = MAX_DATAGRAM + 192
    OUT_STRIDE = 1280
    LATENCY_PLACES = 24
    MAX_PEER = 46

# Outcome of `hsdnsd.native.contract`; one more where the reply has no AA.
cdef enum:
    OUTCOME_HIT = 0
    OUTCOME_ENGINE = 2
    OUTCOMES = 4

cdef struct Latency:
    uint64_t counts[LATENCY_PLACES]
    uint64_t nanoseconds

cdef struct Arrived:
    uint8_t control[128]  # first, for a cmsghdr's alignment
    sockaddr_in6 source
    iovec part
    int64_t received  # nanoseconds, CLOCK_REALTIME; 0 if the kernel did not say
    uint8_t own[16]  # the address that was asked, zeros if the socket is bound to it
    uint32_t scope
    bint is_refused  # W2

cdef struct Leaving:
    uint8_t control[64]
    sockaddr_in6 target
    iovec part
    int64_t received
    uint8_t outcome

cdef struct Lane:
    bint is_v6
    bint is_wildcard
    uint16_t port  # network order
    uint8_t own[16]
    unsigned int size
    mmsghdr* in_heads
    mmsghdr* out_heads
    Arrived* arrived
    Leaving* leaving
    uint8_t* in_octets
    uint8_t* out_octets
    unsigned int in_count
    unsigned int out_count
    uint64_t received
    uint64_t sent
    uint64_t refused_source
    uint64_t send_errors
    uint64_t send_full
    uint64_t kernel_drops
    Latency latency[OUTCOMES]

cdef int open_lane(Lane* lane, sock, unsigned int size) except -1
cdef void close_lane(Lane* lane) noexcept nogil
cdef int read_batch(Lane* lane, int fd) noexcept nogil
cdef uint8_t* octets_of(Lane* lane, unsigned int number) noexcept nogil
cdef bint is_cut(Lane* lane, unsigned int number) noexcept nogil
cdef size_t write_peer(Lane* lane, unsigned int number, uint8_t* peer) noexcept nogil
cdef uint8_t* reply_room(Lane* lane) noexcept nogil
cdef void reply_to(Lane* lane, unsigned int number, size_t size) noexcept nogil
cdef bint reply_to_peer(
    Lane* lane, const uint8_t* peer, size_t peer_size, const uint8_t* reply, size_t size
) noexcept nogil
cdef void write_batch(Lane* lane, int fd) noexcept nogil
