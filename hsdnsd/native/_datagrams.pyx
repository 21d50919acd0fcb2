"""Datagrams of one UDP socket in batches: recvmmsg, sendmmsg, and what their control messages say.

Nothing here knows DNS, but that the AA bit of a reply tells own zones from others.
"""

import socket

from libc.errno cimport EAGAIN, EINTR, ENOBUFS, errno
from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp, memcpy, memset
from posix.time cimport CLOCK_REALTIME, clock_gettime, timespec

from hsdnsd.native._counter cimport count

cdef extern from "<sys/socket.h>" nogil:
    enum:
        AF_INET, AF_INET6, SOL_SOCKET, MSG_DONTWAIT, MSG_TRUNC, SO_TIMESTAMPNS, SCM_TIMESTAMPNS, SO_RXQ_OVFL
    struct cmsghdr:
        size_t cmsg_len
        int cmsg_level
        int cmsg_type
    cmsghdr* CMSG_FIRSTHDR(msghdr*)
    cmsghdr* CMSG_NXTHDR(msghdr*, cmsghdr*)
    uint8_t* CMSG_DATA(cmsghdr*)
    size_t CMSG_LEN(size_t)
    size_t CMSG_SPACE(size_t)
    int recvmmsg(int, mmsghdr*, unsigned int, int, timespec*)
    int sendmmsg(int, mmsghdr*, unsigned int, int)

cdef extern from "<netinet/in.h>" nogil:
    enum:
        IPPROTO_IP, IPPROTO_IPV6, IP_PKTINFO, IPV6_PKTINFO, IPV6_RECVPKTINFO
    struct in_pktinfo:
        unsigned int ipi_ifindex
        in_addr ipi_spec_dst
        in_addr ipi_addr
    struct in6_pktinfo:
        in6_addr ipi6_addr
        unsigned int ipi6_ifindex

cdef extern from *:
    int __builtin_clzll(unsigned long long) noexcept nogil

cdef enum:
    PEER_V4 = 18
    PEER_V6 = 46
    MAX_BATCH = 1024


# Opening and closing.

cdef int open_lane(Lane* lane, sock, unsigned int size) except -1:
    """Turn on what is needed of a bound socket's options, and lay out the buffers."""
    memset(lane, 0, sizeof(Lane))
    if not 1 <= size <= MAX_BATCH:
        raise ValueError("a batch holds 1 to 1024 datagrams")
    if sock.family not in (socket.AF_INET, socket.AF_INET6) or sock.type != socket.SOCK_DGRAM:
        raise ValueError("not a UDP socket")
    host, port = sock.getsockname()[:2]
    cdef bytes own = socket.inet_pton(sock.family, host)
    memcpy(lane.own, <const uint8_t*>own, len(own))
    lane.is_v6 = sock.family == socket.AF_INET6
    lane.is_wildcard = not any(own)
    lane.port = socket.htons(port)
    if lane.is_wildcard and lane.is_v6:
        sock.setsockopt(IPPROTO_IPV6, IPV6_RECVPKTINFO, 1)
    elif lane.is_wildcard:
        sock.setsockopt(IPPROTO_IP, IP_PKTINFO, 1)
    sock.setsockopt(SOL_SOCKET, SO_TIMESTAMPNS, 1)
    sock.setsockopt(SOL_SOCKET, SO_RXQ_OVFL, 1)
    lane.size = size
    lane.in_heads = <mmsghdr*>calloc(size, sizeof(mmsghdr))
    lane.out_heads = <mmsghdr*>calloc(size, sizeof(mmsghdr))
    lane.arrived = <Arrived*>calloc(size, sizeof(Arrived))
    lane.leaving = <Leaving*>calloc(size, sizeof(Leaving))
    lane.in_octets = <uint8_t*>calloc(size, IN_STRIDE)
    lane.out_octets = <uint8_t*>calloc(size, OUT_STRIDE)
    if (
        lane.in_heads == NULL or lane.out_heads == NULL or lane.arrived == NULL or lane.leaving == NULL
        or lane.in_octets == NULL or lane.out_octets == NULL
    ):
        raise MemoryError
    _wire_heads(lane)
    return 0


cdef void _wire_heads(Lane* lane) noexcept nogil:
    """What stays the same in every batch: the pointers."""
    cdef unsigned int number
    cdef msghdr* head
    for number in range(lane.size):
        head = &lane.in_heads[number].msg_hdr
        head.msg_name = &lane.arrived[number].source
        head.msg_iov = &lane.arrived[number].part
        head.msg_iovlen = 1
        head.msg_control = lane.arrived[number].control
        lane.arrived[number].part.iov_base = lane.in_octets + <size_t>number * IN_STRIDE
        lane.arrived[number].part.iov_len = MAX_DATAGRAM
        head = &lane.out_heads[number].msg_hdr
        head.msg_iov = &lane.leaving[number].part
        head.msg_iovlen = 1
        head.msg_namelen = sizeof(sockaddr_in6) if lane.is_v6 else sizeof(sockaddr_in)
    lane.in_count = lane.size


cdef void close_lane(Lane* lane) noexcept nogil:
    free(lane.in_heads)
    free(lane.out_heads)
    free(lane.arrived)
    free(lane.leaving)
    free(lane.in_octets)
    free(lane.out_octets)


# Reading.

cdef uint8_t* octets_of(Lane* lane, unsigned int number) noexcept nogil:
    """The octets of a datagram that was read; `lane.in_heads[number].msg_len` of them."""
    return lane.in_octets + <size_t>number * IN_STRIDE


cdef bint is_cut(Lane* lane, unsigned int number) noexcept nogil:
    """Whether the datagram was longer than MAX_DATAGRAM."""
    return (lane.in_heads[number].msg_hdr.msg_flags & MSG_TRUNC) != 0


cdef int read_batch(Lane* lane, int fd) noexcept nogil:
    """Read what is there, up to the size of a batch; returns how many came, or -errno; 0 also if none was there."""
    cdef unsigned int number
    cdef int came
    for number in range(lane.in_count):
        lane.in_heads[number].msg_hdr.msg_namelen = sizeof(sockaddr_in6)
        lane.in_heads[number].msg_hdr.msg_controllen = sizeof(lane.arrived[number].control)
    came = recvmmsg(fd, lane.in_heads, lane.size, MSG_DONTWAIT, NULL)
    if came < 0:
        lane.in_count = 0
        return -errno
    lane.in_count = came
    count(&lane.received, came)
    for number in range(lane.in_count):
        _read_control(lane, number)
        lane.arrived[number].is_refused = _is_refused(lane, &lane.arrived[number])
        count(&lane.refused_source, lane.arrived[number].is_refused)
    return came


cdef void _read_control(Lane* lane, unsigned int number) noexcept nogil:
    """When the kernel took the datagram in, which address was asked, and how many others were lost on the way."""
    cdef Arrived* arrived = &lane.arrived[number]
    cdef msghdr* head = &lane.in_heads[number].msg_hdr
    cdef cmsghdr* message = CMSG_FIRSTHDR(head)
    cdef timespec stamp
    arrived.received = 0
    arrived.scope = arrived.source.sin6_scope_id if lane.is_v6 else 0
    while message != NULL:
        if message.cmsg_level == SOL_SOCKET and message.cmsg_type == SCM_TIMESTAMPNS:
            memcpy(&stamp, CMSG_DATA(message), sizeof(timespec))
            arrived.received = <int64_t>stamp.tv_sec * 1000000000 + stamp.tv_nsec
        elif message.cmsg_level == SOL_SOCKET and message.cmsg_type == SO_RXQ_OVFL:
            _count_drops(lane, message)
        elif lane.is_wildcard:
            _read_own(arrived, message)
        message = CMSG_NXTHDR(head, message)


cdef void _count_drops(Lane* lane, cmsghdr* message) noexcept nogil:
    """The kernel counts a socket's drops in 32 bits, from 0 on and around; ours has 64."""
    cdef uint32_t drops
    memcpy(&drops, CMSG_DATA(message), sizeof(uint32_t))
    count(&lane.kernel_drops, <uint32_t>(drops - <uint32_t>lane.kernel_drops))


cdef void _read_own(Arrived* arrived, cmsghdr* message) noexcept nogil:
    """The address that was asked; its interface counts only where the address means nothing without it."""
    cdef in_pktinfo v4
    cdef in6_pktinfo v6
    if message.cmsg_level == IPPROTO_IP and message.cmsg_type == IP_PKTINFO:
        memcpy(&v4, CMSG_DATA(message), sizeof(in_pktinfo))
        memcpy(arrived.own, &v4.ipi_spec_dst, 4)
    elif message.cmsg_level == IPPROTO_IPV6 and message.cmsg_type == IPV6_PKTINFO:
        memcpy(&v6, CMSG_DATA(message), sizeof(in6_pktinfo))
        memcpy(arrived.own, &v6.ipi6_addr, 16)
        if arrived.scope == 0 and _is_link_local(arrived.own):
            arrived.scope = v6.ipi6_ifindex


cdef inline bint _is_link_local(const uint8_t* address) noexcept nogil:
    """fe80::/10 (RFC 4291 section 2.5.6)"""
    return address[0] == 0xFE and (address[1] & 0xC0) == 0x80


cdef bint _is_refused(Lane* lane, Arrived* arrived) noexcept nogil:
    """W2: a reply to port 0 goes nowhere, one to ourselves would come back as a query for ever (CVE-2024-2169)."""
    cdef const uint8_t* asked = &arrived.own[0] if lane.is_wildcard else &lane.own[0]
    # sin_port lies where sin6_port does.
    if arrived.source.sin6_port == 0:
        return True
    if arrived.source.sin6_port != lane.port:
        return False
    if lane.is_v6:
        return memcmp(&arrived.source.sin6_addr, asked, 16) == 0
    return memcmp(&(<sockaddr_in*>&arrived.source).sin_addr, asked, 4) == 0


# Peers; the layout is told in `peer.py`.

cdef size_t write_peer(Lane* lane, unsigned int number, uint8_t* peer) noexcept nogil:
    """Write who sent a datagram into `peer`, at least MAX_PEER octets long; returns its length."""
    cdef Arrived* arrived = &lane.arrived[number]
    memcpy(peer, &arrived.received, 8)
    memcpy(peer + 8, &arrived.source.sin6_port, 2)
    if lane.is_v6:
        memcpy(peer + 10, &arrived.source.sin6_addr, 16)
        memcpy(peer + 26, arrived.own, 16)
        memcpy(peer + 42, &arrived.scope, 4)
        return PEER_V6
    memcpy(peer + 10, &(<sockaddr_in*>&arrived.source).sin_addr, 4)
    memcpy(peer + 14, arrived.own, 4)
    return PEER_V4


cdef bint reply_to_peer(
    Lane* lane, const uint8_t* peer, size_t peer_size, const uint8_t* reply, size_t size
) noexcept nogil:
    """Put a reply into the batch, which has room; it must stay where it is until the batch is written.

    False: the peer is none of this socket's family.
    """
    cdef Leaving* leaving = &lane.leaving[lane.out_count]
    cdef sockaddr_in* target = <sockaddr_in*>&leaving.target
    cdef uint32_t scope = 0
    if peer_size != <size_t>(PEER_V6 if lane.is_v6 else PEER_V4):
        return False
    memset(&leaving.target, 0, sizeof(sockaddr_in6))
    memcpy(&leaving.received, peer, 8)
    memcpy(&leaving.target.sin6_port, peer + 8, 2)
    if lane.is_v6:
        memcpy(&scope, peer + 42, 4)
        leaving.target.sin6_family = AF_INET6
        leaving.target.sin6_scope_id = scope
        memcpy(&leaving.target.sin6_addr, peer + 10, 16)
        _leave_from(lane, leaving, peer + 26, scope)
    else:
        target.sin_family = AF_INET
        memcpy(&target.sin_addr, peer + 10, 4)
        _leave_from(lane, leaving, peer + 14, 0)
    lane.out_heads[lane.out_count].msg_hdr.msg_name = &leaving.target
    _enclose(lane, <void*>reply, size, OUTCOME_ENGINE)
    return True


# Writing.

cdef uint8_t* reply_room(Lane* lane) noexcept nogil:
    """OUT_STRIDE octets where the next reply of the batch may be written."""
    return lane.out_octets + <size_t>lane.out_count * OUT_STRIDE


cdef void reply_to(Lane* lane, unsigned int number, size_t size) noexcept nogil:
    """Put the reply that stands in `reply_room` into the batch, for the sender of a datagram."""
    cdef Leaving* leaving = &lane.leaving[lane.out_count]
    lane.out_heads[lane.out_count].msg_hdr.msg_name = &lane.arrived[number].source
    leaving.received = lane.arrived[number].received
    _leave_from(lane, leaving, lane.arrived[number].own, lane.arrived[number].scope)
    _enclose(lane, reply_room(lane), size, OUTCOME_HIT)


cdef inline void _enclose(Lane* lane, void* reply, size_t size, uint8_t outcome) noexcept nogil:
    cdef Leaving* leaving = &lane.leaving[lane.out_count]
    cdef bint is_own = size > 2 and (<uint8_t*>reply)[2] & 4  # AA
    leaving.part.iov_base = reply
    leaving.part.iov_len = size
    leaving.outcome = outcome if is_own else outcome + 1
    lane.out_count += 1


cdef void _leave_from(Lane* lane, Leaving* leaving, const uint8_t* own, uint32_t scope) noexcept nogil:
    """Have a reply leave from the address that was asked: another would be no reply to the one who asked."""
    cdef msghdr* head = &lane.out_heads[lane.out_count].msg_hdr
    cdef cmsghdr* message = <cmsghdr*>leaving.control
    cdef in_pktinfo v4
    cdef in6_pktinfo v6
    if not lane.is_wildcard:
        return
    head.msg_control = leaving.control
    if lane.is_v6:
        memcpy(&v6.ipi6_addr, own, 16)
        v6.ipi6_ifindex = scope if _is_link_local(own) else 0
        head.msg_controllen = CMSG_SPACE(sizeof(in6_pktinfo))
        message.cmsg_level = IPPROTO_IPV6
        message.cmsg_type = IPV6_PKTINFO
        message.cmsg_len = CMSG_LEN(sizeof(in6_pktinfo))
        memcpy(CMSG_DATA(message), &v6, sizeof(in6_pktinfo))
    else:
        memset(&v4, 0, sizeof(in_pktinfo))
        memcpy(&v4.ipi_spec_dst, own, 4)
        head.msg_controllen = CMSG_SPACE(sizeof(in_pktinfo))
        message.cmsg_level = IPPROTO_IP
        message.cmsg_type = IP_PKTINFO
        message.cmsg_len = CMSG_LEN(sizeof(in_pktinfo))
        memcpy(CMSG_DATA(message), &v4, sizeof(in_pktinfo))


cdef void write_batch(Lane* lane, int fd) noexcept nogil:
    """Send the batch; it is empty afterwards.

    sendmmsg stops at the first destination that can't be sent to: it is counted, and the rest is sent from behind it.
    A full buffer costs the rest of the batch: waiting for room would cost everybody else.
    """
    cdef unsigned int begin = 0
    cdef int taken
    while begin < lane.out_count:
        taken = sendmmsg(fd, lane.out_heads + begin, lane.out_count - begin, MSG_DONTWAIT)
        if taken > 0:
            count(&lane.sent, taken)
            begin += taken
        elif errno == EAGAIN or errno == ENOBUFS:
            count(&lane.send_full, lane.out_count - begin)
            break
        elif errno != EINTR:
            count(&lane.send_errors, 1)
            lane.leaving[begin].received = 0
            begin += 1
    _measure(lane, begin)
    lane.out_count = 0


cdef void _measure(Lane* lane, unsigned int sent) noexcept nogil:
    """Count how long the first `sent` replies of the batch took, those that have a receive time."""
    cdef timespec now
    cdef int64_t at, took
    cdef unsigned int number
    if sent == 0:
        return
    clock_gettime(CLOCK_REALTIME, &now)
    at = <int64_t>now.tv_sec * 1000000000 + now.tv_nsec
    for number in range(sent):
        if lane.leaving[number].received != 0:
            # The wall clock may be set back between the two readings.
            took = max(at - lane.leaving[number].received, <int64_t>0)
            _count_latency(&lane.latency[lane.leaving[number].outcome], took)


cdef inline void _count_latency(Latency* latency, int64_t took) noexcept nogil:
    cdef unsigned long long microseconds = <unsigned long long>took // 1000
    cdef int place = 64 - __builtin_clzll(microseconds) if microseconds else 0
    count(&latency.counts[min(place, <int>LATENCY_PLACES - 1)], 1)
    count(&latency.nanoseconds, took)
