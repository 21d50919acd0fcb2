# cython: cdivision=True
"""A plain reply of an upstream, recognised with certainty, and the answer that the engine would make of it.

Plain is: the chain from the question's name, link by link in order, and at its end all records of the type asked, or
one SOA that denies them. What is taken here is, octet for octet, what `hsdnsd.cache.policy.accept` and
`hsdnsd.wire.answer.build_answer` make of the same reply; everything else is left to them.

Whatever returns False has found that the reply is not plain, and nothing of it counts.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.string cimport memcmp, memcpy, memset

from hsdnsd.native._compress cimport Writer, open_writer, put_record
from hsdnsd.native._cursor cimport Cursor, Record, Text, is_same, is_within, read_record_untrusted
from hsdnsd.native._names cimport NameSet, is_listed
from hsdnsd.native._rdata cimport expand_untrusted, layout_of
from hsdnsd.native._wire cimport (
    CLASS_IN, CNAME, EDNS_UDP_SIZE, HEADER_SIZE, MAX_NAME, MAX_TTL, NOERROR, NSEC, NSEC3, NXDOMAIN, OPCODE, OPT, QR,
    RCODE, RRSIG, SOA, TC, fold, u16, u32
)

cdef enum:
    MAX_CHAIN = 8  # `hsdnsd.cache.policy` allows more
    MAX_RDATA = 4096  # of an RRset, its names uncompressed

# Names that the chain has been at, folded; the last is where it ends.
cdef struct Chain:
    unsigned int count
    Text names[MAX_CHAIN + 1]

# The records of the type asked, at the end of the chain.
cdef struct Data:
    Text owner
    uint32_t ttl
    unsigned int count
    size_t size
    size_t begins[MAX_RECORDS + 1]
    uint8_t rdatas[MAX_RDATA]

# A reply half read.
cdef struct Reading:
    Cursor cursor
    unsigned int qtype
    const Names* names
    const TtlLimits* limits
    Chain chain
    Data data
    Record soa
    unsigned int soa_count
    Writer writer
    Accepted* accepted


cdef bint accept_untrusted(
    const uint8_t* wire, size_t size, unsigned int id, const uint8_t* name, size_t name_size, unsigned int qtype,
    const Names* names, const TtlLimits* limits, Accepted* accepted
) noexcept nogil:
    """Fill in `accepted` from a reply to the question for a folded name; `names` are those no chain may lead to."""
    cdef Reading reading
    if not _is_reply(wire, size, id, name, name_size, qtype):
        return False
    memset(accepted, 0, sizeof(Accepted) - sizeof(accepted.body) - sizeof(accepted.ttls))
    accepted.rcode = <uint8_t>(u16(wire + 2) & RCODE)
    reading.accepted = accepted
    reading.cursor.wire = wire
    reading.cursor.size = size
    reading.cursor.at = HEADER_SIZE + name_size + 4
    reading.qtype = qtype
    reading.names = names
    reading.limits = limits
    reading.chain.count = 1
    reading.chain.names[0].size = name_size
    memcpy(reading.chain.names[0].octets, name, name_size)
    reading.data.count = 0
    reading.data.size = reading.data.begins[0] = 0
    reading.data.ttl = MAX_TTL
    reading.soa_count = 0
    if not (
        open_writer(&reading.writer, accepted.body, accepted.ttls, name, name_size)
        and _read_answer(&reading, u16(wire + 6))
        and _read_authority(&reading, u16(wire + 8))
        and _read_additional(&reading, u16(wire + 10))
        and (_write_data(&reading) if reading.data.count else _write_denial(&reading))
    ):
        return False
    accepted.body_size = reading.writer.size
    accepted.ttl_count = reading.writer.ttl_count
    accepted.ttl = reading.writer.ttl
    accepted.keep = min(accepted.ttl, limits.most)
    return True


cdef bint _is_reply(
    const uint8_t* wire, size_t size, unsigned int id, const uint8_t* name, size_t name_size, unsigned int qtype
) noexcept nogil:
    """Whether header and question are those of a whole reply to our message, which asked in lower case."""
    cdef size_t end = HEADER_SIZE + name_size + 4
    cdef unsigned int flags
    # What is longer came in fragments, and all but the first can be forged (CVE-2025-59024).
    if size < end or size > EDNS_UDP_SIZE or u16(wire) != id or u16(wire + 4) != 1:
        return False
    flags = u16(wire + 2)
    return (
        (flags & (QR | OPCODE | TC)) == QR
        and ((flags & RCODE) == NOERROR or (flags & RCODE) == NXDOMAIN)
        and memcmp(wire + HEADER_SIZE, name, name_size) == 0
        and u16(wire + end - 4) == qtype
        and u16(wire + end - 2) == CLASS_IN
    )


# The sections.

cdef bint _read_answer(Reading* reading, unsigned int count) noexcept nogil:
    """Walk the answer section: the links are written, the data is put by."""
    cdef Record record
    cdef Text* here
    cdef unsigned int _number
    for _number in range(count):
        here = &reading.chain.names[reading.chain.count - 1]
        if not read_record_untrusted(&reading.cursor, &record) or record.rclass != CLASS_IN:
            return False
        if not is_same(&record.owner, here.octets, here.size):
            return False
        if record.rtype == reading.qtype:
            # A name has no second alias (RFC 2181 section 10.1): the engine takes the first.
            if reading.data.count and reading.qtype == CNAME:
                return False
            if not _add(&reading.data, &reading.cursor, &record):
                return False
        elif record.rtype != CNAME or reading.data.count or not _follow(reading, &record):
            return False
    return True


cdef bint _read_authority(Reading* reading, unsigned int count) noexcept nogil:
    """Walk the section of which nothing but a SOA may be of use; a proof is the engine's."""
    cdef Record record
    cdef unsigned int _number
    for _number in range(count):
        if not _read_other(reading, &record):
            return False
        if record.rtype == OPT or record.rtype == RRSIG or record.rtype == NSEC or record.rtype == NSEC3:
            return False
        if record.rtype == SOA:
            reading.soa_count += 1
            reading.soa = record
    return True


cdef bint _read_additional(Reading* reading, unsigned int count) noexcept nogil:
    """Walk the section of which nothing is kept."""
    cdef Record record
    cdef unsigned int _number
    for _number in range(count):
        if not _read_other(reading, &record):
            return False
        if record.rtype == OPT:
            # RFC 6891 section 6.1.1; the upper bits of the RCODE have to be clear.
            if reading.accepted.has_opt or record.owner.size != 1 or record.ttl >> 24:
                return False
            reading.accepted.has_opt = True
    return True


cdef bint _read_other(Reading* reading, Record* record) noexcept nogil:
    """Read a record that need only be well-formed."""
    cdef uint8_t scratch[2 * MAX_NAME + EDNS_UDP_SIZE]
    return read_record_untrusted(&reading.cursor, record) and (
        record.rtype == OPT
        or (record.rclass == CLASS_IN and expand_untrusted(&reading.cursor, record, scratch, sizeof(scratch)))
    )


# What they hold.

cdef bint _follow(Reading* reading, const Record* link) noexcept nogil:
    """Write a CNAME, and go on at its target if the chain may go there and has not been there."""
    cdef Chain* chain = &reading.chain
    cdef Text* there
    cdef uint8_t target[MAX_NAME]
    cdef uint32_t ttl = _clamped(link.ttl, reading.limits.least, reading.limits.most)
    cdef size_t size = expand_untrusted(&reading.cursor, link, target, sizeof(target))
    cdef unsigned int number
    if size == 0 or chain.count > MAX_CHAIN:
        return False
    size -= 1
    if not put_record(&reading.writer, &link.owner, CNAME, ttl, target, size):
        return False
    reading.accepted.an += 1
    there = &chain.names[chain.count]
    there.size = size
    fold(target, size, there.octets)
    for number in range(chain.count):
        if chain.names[number].size == size and memcmp(chain.names[number].octets, there.octets, size) == 0:
            return False
    chain.count += 1
    return not is_listed(reading.names, there.octets, size)


cdef bint _add(Data* data, const Cursor* cursor, const Record* record) noexcept nogil:
    """One more record of the RRset; False also: it is there already (RFC 2181 section 5.5), or there is no room."""
    cdef unsigned int number
    cdef uint8_t* rdata = data.rdatas + data.size
    cdef size_t size = expand_untrusted(cursor, record, rdata, MAX_RDATA - data.size)
    if size == 0 or data.count == MAX_RECORDS:
        return False
    size -= 1
    for number in range(data.count):
        if (
            data.begins[number + 1] - data.begins[number] == size
            and memcmp(data.rdatas + data.begins[number], rdata, size) == 0
        ):
            return False
    if data.count == 0:
        data.owner = record.owner
    data.begins[data.count] = data.size
    data.size += size
    data.count += 1
    data.begins[data.count] = data.size
    data.ttl = min(data.ttl, _seconds(record.ttl))
    return True


cdef bint _write_data(Reading* reading) noexcept nogil:
    """Write the RRset at the end of the chain, its TTL the least of its records' (RFC 2181 section 5.2)."""
    cdef const Data* data = &reading.data
    cdef Writer* writer = &reading.writer
    cdef Accepted* accepted = reading.accepted
    cdef uint32_t ttl = _clamped(data.ttl, reading.limits.least, reading.limits.most)
    cdef size_t first = writer.size, before = 0, begin, size
    cdef unsigned int number
    if accepted.rcode != NOERROR:
        return False
    for number in range(data.count):
        before = writer.size
        begin = data.begins[number]
        size = data.begins[number + 1] - begin
        if not put_record(writer, &data.owner, reading.qtype, ttl, data.rdatas + begin, size):
            return False
    accepted.an += <uint16_t>data.count
    # Only records that are equally long can turn: the first alone may spell out its owner.
    size = writer.size - before
    if data.count > 1 and layout_of(reading.qtype).fixed and writer.size - first == size * data.count:
        accepted.rotate_at = <uint16_t>first
        accepted.rotate_count = <uint16_t>data.count
        accepted.rotate_size = <uint16_t>size
    return True


cdef bint _write_denial(Reading* reading) noexcept nogil:
    """Write the SOA, kept for the lesser of its TTL and its MINIMUM (RFC 2308 section 5)."""
    cdef const TtlLimits* limits = reading.limits
    cdef const Text* end = &reading.chain.names[reading.chain.count - 1]
    cdef Record* soa = &reading.soa
    cdef uint8_t rdata[2 * MAX_NAME + 20]
    cdef size_t size
    cdef uint32_t ttl
    if reading.soa_count != 1 or not is_within(end, &soa.owner):
        return False
    size = expand_untrusted(&reading.cursor, soa, rdata, sizeof(rdata))
    if size == 0:
        return False
    size -= 1
    ttl = min(_seconds(soa.ttl), _seconds(u32(rdata + size - 4)))
    reading.accepted.ns = 1
    return put_record(
        &reading.writer, &soa.owner, SOA, _clamped(ttl, limits.least_negative, limits.most_negative), rdata, size
    )


# TTLs.

cdef inline uint32_t _seconds(uint32_t ttl) noexcept nogil:
    """RFC 2181 section 8: a TTL with the high bit is 0."""
    return 0 if ttl > <uint32_t>MAX_TTL else ttl


cdef inline uint32_t _clamped(uint32_t ttl, uint32_t least, uint32_t most) noexcept nogil:
    return max(least, min(_seconds(ttl), most))


def accepted(bytes wire not None, unsigned int id, bytes name not None, unsigned int qtype, NameSet names not None,
             tuple limits not None):
    """(rcode, an, ns, body, ttls, ttl, rotate_at, rotate_count, rotate_size, keep) of a plain reply, or None.

    Args:
        name: folded, well-formed. limits: the four of `hsdnsd.cache.policy.TtlLimits`, in their order.
    """
    cdef Accepted found
    cdef TtlLimits bounds
    bounds.least, bounds.most, bounds.least_negative, bounds.most_negative = limits
    if not accept_untrusted(
        <const uint8_t*>wire, len(wire), id, <const uint8_t*>name, len(name), qtype, &names.names, &bounds, &found
    ):
        return None
    return (
        found.rcode, found.an, found.ns, PyBytes_FromStringAndSize(<char*>found.body, found.body_size),
        PyBytes_FromStringAndSize(<char*>found.ttls, 2 * found.ttl_count), found.ttl,
        found.rotate_at, found.rotate_count, found.rotate_size, found.keep,
    )
