# cython: cdivision=True
"""A plain reply of an upstream, recognised with certainty, and the answer that the engine would make of it.

Plain is: the chain from the question's name, link by link in order, and at its end all records of the type asked, or
one SOA that denies them. What is taken here is, octet for octet, what `hsdnsd.cache.policy.accept` and
`hsdnsd.wire.answer.build_answer` make of the same reply; everything else is left to them. Raw memory is read here at
places that a stranger's packet names: each read is behind a comparison with what there is.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.string cimport memcmp, memcpy, memset

from hsdnsd.native._names cimport Names, NameSet, is_listed

from hsdnsd.wire.rdata import LAYOUTS, SIZES

cdef enum:
    HEADER_SIZE = 12
    CLASS_IN = 1
    QR = 0x8000
    OPCODE = 0x7800
    TC = 0x0200
    CNAME = 5
    SOA = 6
    DNAME = 39
    OPT = 41
    RRSIG = 46
    NSEC = 47
    NSEC3 = 50
    NXDOMAIN = 3
    # EDNS_UDP_SIZE: what is longer came in fragments, and all but the first can be forged (CVE-2025-59024).
    MOST = 1232
    MAX_NAME = 255
    MAX_LABEL = 63
    # Both stricter than the engine, which reads what is more.
    MAX_POINTERS = 8
    MAX_CHAIN = 8
    MAX_DEPTH = 8  # `_MAX_POINTERS` of hsdnsd.wire.compress
    MAX_TTL = 0x7FFFFFFF
    # Names of a reply, each ending its own; and their octets.
    MAX_ENDINGS = 128
    MAX_TEXT = 2048
    MAX_SCRATCH = 4096
    LAYOUT_TYPES = 64

# `hsdnsd.wire.rdata.Layout`, and the fixed size of an address.
cdef struct Layout:
    uint8_t has_names
    uint8_t prefix
    uint8_t strings
    uint8_t names
    uint8_t suffix
    uint8_t compressed
    uint8_t fixed

cdef Layout[LAYOUT_TYPES] _LAYOUTS


cdef int _read_layouts() except -1:
    cdef int rtype
    memset(_LAYOUTS, 0, sizeof(_LAYOUTS))
    for rtype, layout in LAYOUTS.items():
        if rtype >= LAYOUT_TYPES:
            raise ImportError("a TYPE with names in its rdata has no place in the table")
        _LAYOUTS[rtype].has_names = 1
        _LAYOUTS[rtype].prefix = layout.prefix
        _LAYOUTS[rtype].strings = layout.strings
        _LAYOUTS[rtype].names = layout.names
        _LAYOUTS[rtype].suffix = layout.suffix
        _LAYOUTS[rtype].compressed = layout.compressed
    for rtype, size in SIZES.items():
        if rtype >= LAYOUT_TYPES:
            raise ImportError("a TYPE of fixed size has no place in the table")
        _LAYOUTS[rtype].fixed = size
    return 0


_read_layouts()

# A name as it stands on the wire, its pointers followed.
cdef struct Text:
    size_t size
    uint8_t octets[MAX_NAME]

# One record, where it stands.
cdef struct Record:
    Text owner
    unsigned int rtype
    unsigned int rclass
    uint32_t ttl
    size_t rdata
    size_t end

cdef struct Reader:
    const uint8_t* wire
    size_t size
    size_t at

# Where an ending of a name stands in the message that is written, and how many pointers lie between it and the root.
cdef struct Ending:
    uint16_t text  # folded, in `Writer.text`
    uint8_t size
    uint8_t depth
    uint16_t offset

cdef struct Writer:
    Accepted* out
    size_t at  # in the message
    size_t base  # of the body in the message
    size_t text_size
    unsigned int ending_count
    Ending endings[MAX_ENDINGS]
    uint8_t text[MAX_TEXT]


cdef inline unsigned int _u16(const uint8_t* at) noexcept nogil:
    return (<unsigned int>at[0] << 8) | at[1]


cdef inline uint32_t _u32(const uint8_t* at) noexcept nogil:
    return (<uint32_t>at[0] << 24) | (<uint32_t>at[1] << 16) | (<uint32_t>at[2] << 8) | at[3]


cdef inline uint8_t _folded(uint8_t octet) noexcept nogil:
    return octet + (<uint8_t>(<uint8_t>(octet - 65) < 26) << 5)


cdef inline bint _same(const Text* name, const uint8_t* folded, size_t size) noexcept nogil:
    cdef size_t at
    if name.size != size:
        return False
    for at in range(size):
        if _folded(name.octets[at]) != folded[at]:
            return False
    return True


# Reading.

cdef size_t _read_name(const uint8_t* wire, size_t size, size_t start, size_t end, Text* name) noexcept nogil:
    """The name at `start`, and what is behind it, not over `end`; 0: there is none, or none that is plain."""
    cdef size_t at = start, after = 0, limit = end, target
    cdef unsigned int pointers = 0, length
    name.size = 0
    while at < limit:
        length = wire[at]
        if length == 0:
            if name.size == MAX_NAME:
                return 0
            name.octets[name.size] = 0
            name.size += 1
            return after if pointers else at + 1
        if length >= 0xC0:
            if at + 2 > limit:
                return 0
            target = <size_t>((length & 0x3F) << 8) | wire[at + 1]
            if target < HEADER_SIZE or target >= start or pointers == MAX_POINTERS:
                return 0
            if pointers == 0:
                after = at + 2
            pointers += 1
            # From here on only further back.
            start = at = target
            limit = size
            continue
        if length > MAX_LABEL or at + 1 + length > limit or name.size + 1 + length > MAX_NAME:
            return 0
        memcpy(name.octets + name.size, wire + at, 1 + length)
        name.size += 1 + length
        at += 1 + length
    return 0


cdef bint _read_record(Reader* reader, Record* record) noexcept nogil:
    cdef size_t at = _read_name(reader.wire, reader.size, reader.at, reader.size, &record.owner)
    if at == 0 or reader.size - at < 10:
        return False
    record.rtype = _u16(reader.wire + at)
    record.rclass = _u16(reader.wire + at + 2)
    record.ttl = _u32(reader.wire + at + 4)
    record.rdata = at + 10
    record.end = record.rdata + _u16(reader.wire + at + 8)
    reader.at = record.end
    return record.end <= reader.size


cdef size_t _expand(const Reader* reader, const Record* record, uint8_t* out, size_t room) noexcept nogil:
    """Write rdata with its names uncompressed into `out`; its size plus 1, or 0: not well-formed, or no room."""
    cdef const uint8_t* wire = reader.wire
    cdef size_t at = record.rdata, size = record.end - record.rdata, written
    cdef Layout layout
    cdef Text name
    cdef unsigned int _number
    memset(&layout, 0, sizeof(Layout))
    if record.rtype < LAYOUT_TYPES:
        layout = _LAYOUTS[record.rtype]
    if not layout.has_names:
        if (layout.fixed and size != layout.fixed) or size > room:
            return 0
        memcpy(out, wire + at, size)
        return size + 1
    at += layout.prefix
    for _number in range(layout.strings):
        if at >= record.end:
            return 0
        at += <size_t>wire[at] + 1
    if at > record.end or at - record.rdata > room:
        return 0
    written = at - record.rdata
    memcpy(out, wire + record.rdata, written)
    for _number in range(layout.names):
        at = _read_name(wire, reader.size, at, record.end, &name)
        if at == 0 or name.size > room - written:
            return 0
        memcpy(out + written, name.octets, name.size)
        written += name.size
    if at + layout.suffix != record.end or layout.suffix > room - written:
        return 0
    memcpy(out + written, wire + at, layout.suffix)
    return written + layout.suffix + 1


# Writing: as `hsdnsd.wire.compress.Compressor` and `_Writer` of `hsdnsd.wire.answer` do.

cdef const Ending* _find_ending(const Writer* writer, const uint8_t* folded, size_t size) noexcept nogil:
    """Where an ending stands; of several places the last that was remembered."""
    cdef unsigned int number = writer.ending_count
    cdef const Ending* ending
    while number:
        number -= 1
        ending = &writer.endings[number]
        if ending.size == size and memcmp(writer.text + ending.text, folded, size) == 0:
            return ending
    return NULL


cdef bint _put(Writer* writer, const uint8_t* octets, size_t size) noexcept nogil:
    if size > <size_t>MAX_BODY - writer.out.body_size:
        return False
    memcpy(writer.out.body + writer.out.body_size, octets, size)
    writer.out.body_size += <uint16_t>size
    writer.at += size
    return True


cdef bint _remember(Writer* writer, const uint8_t* name, size_t size, size_t shown, uint8_t depth) noexcept nogil:
    """Remember the endings of a name that begin in its first `shown` octets, which stand at `writer.at`."""
    cdef size_t at, start = 0
    cdef Ending* ending
    if shown == 0 or name[0] == 0:
        return True
    if size > MAX_TEXT - writer.text_size:
        return False
    for at in range(size):
        writer.text[writer.text_size + at] = _folded(name[at])
    while start < shown and name[start] != 0:
        if writer.ending_count == MAX_ENDINGS:
            return False
        ending = &writer.endings[writer.ending_count]
        ending.text = <uint16_t>(writer.text_size + start)
        ending.size = <uint8_t>(size - start)
        ending.depth = depth
        ending.offset = <uint16_t>(writer.at + start)
        writer.ending_count += 1
        start += <size_t>name[start] + 1
    writer.text_size += size
    return True


cdef bint _put_name(Writer* writer, const uint8_t* name, size_t size) noexcept nogil:
    """Write a name, its ending as a pointer where it stands already."""
    cdef uint8_t folded[MAX_NAME]
    cdef uint8_t pointer[2]
    cdef const Ending* ending
    cdef const Ending* found = NULL
    cdef size_t start = 0, at
    for at in range(size):
        folded[at] = _folded(name[at])
    while folded[start] != 0:
        ending = _find_ending(writer, folded + start, size - start)
        if ending != NULL:
            if start == 0 or ending.depth + 1 < MAX_DEPTH:
                found = ending
            else:
                # One pointer more, and what points here would be too deep: it is spelled out.
                start = 0
                while folded[start] != 0:
                    start += <size_t>folded[start] + 1
            break
        start += <size_t>folded[start] + 1
    if found == NULL:
        return _remember(writer, name, size, size, 0) and _put(writer, name, size)
    pointer[0] = <uint8_t>(0xC0 | (found.offset >> 8))
    pointer[1] = <uint8_t>found.offset
    return (
        _remember(writer, name, size, start, found.depth + 1)
        and _put(writer, name, start)
        and _put(writer, pointer, 2)
    )


cdef bint _put_rdata(Writer* writer, unsigned int rtype, const uint8_t* rdata, size_t size) noexcept nogil:
    """RDLENGTH and rdata that was expanded, its names compressed where that is allowed."""
    cdef Layout* layout = &_LAYOUTS[rtype] if rtype < LAYOUT_TYPES else NULL
    cdef uint8_t length[2]
    cdef size_t begin, start, end
    cdef unsigned int _number
    begin = writer.out.body_size
    memset(length, 0, 2)
    if not _put(writer, length, 2):
        return False
    if layout == NULL or not layout.has_names or not layout.compressed:
        if not _put(writer, rdata, size):
            return False
    else:
        start = layout.prefix
        if not _put(writer, rdata, start):
            return False
        for _number in range(layout.names):
            end = start
            while rdata[end] != 0:
                end += <size_t>rdata[end] + 1
            end += 1
            if not _put_name(writer, rdata + start, end - start):
                return False
            start = end
        if not _put(writer, rdata + start, size - start):
            return False
    size = writer.out.body_size - begin - 2
    writer.out.body[begin] = <uint8_t>(size >> 8)
    writer.out.body[begin + 1] = <uint8_t>size
    return True


cdef bint _put_record(
    Writer* writer, const Text* owner, unsigned int rtype, uint32_t ttl, const uint8_t* rdata, size_t size
) noexcept nogil:
    cdef uint8_t head[8]
    if writer.out.ttl_count == MAX_RECORDS or not _put_name(writer, owner.octets, owner.size):
        return False
    head[0] = <uint8_t>(rtype >> 8)
    head[1] = <uint8_t>rtype
    head[2] = 0
    head[3] = CLASS_IN
    head[4] = <uint8_t>(ttl >> 24)
    head[5] = <uint8_t>(ttl >> 16)
    head[6] = <uint8_t>(ttl >> 8)
    head[7] = <uint8_t>ttl
    writer.out.ttls[writer.out.ttl_count] = writer.out.body_size + 4
    writer.out.ttl_count += 1
    writer.out.ttl = min(writer.out.ttl, ttl)
    return _put(writer, head, 8) and _put_rdata(writer, rtype, rdata, size)


# What is kept.

# The records of the type asked at the end of the chain.
cdef struct Data:
    Text owner
    uint32_t ttl
    unsigned int count
    size_t size
    size_t begins[MAX_RECORDS + 1]
    uint8_t rdatas[MAX_SCRATCH]

# Names that the chain has been at, folded.
cdef struct Chain:
    unsigned int count
    Text names[MAX_CHAIN + 1]


cdef inline uint32_t _clamped(uint32_t ttl, const TtlLimits* limits) noexcept nogil:
    """RFC 2181 section 8: a TTL with the high bit is 0."""
    return max(limits.least, min(0 if ttl > <uint32_t>MAX_TTL else ttl, limits.most))


cdef bint _follow(Chain* chain, const uint8_t* target, size_t size, const Names* names) noexcept nogil:
    """Go on at the target of a CNAME; False: it has been there, it may not go there, or this is too long."""
    cdef Text* here
    cdef unsigned int number
    cdef size_t at
    if chain.count > MAX_CHAIN:
        return False
    here = &chain.names[chain.count]
    here.size = size
    for at in range(size):
        here.octets[at] = _folded(target[at])
    for number in range(chain.count):
        if chain.names[number].size == size and memcmp(chain.names[number].octets, here.octets, size) == 0:
            return False
    chain.count += 1
    return not is_listed(names, here.octets, size)


cdef bint _add(Data* data, const Reader* reader, const Record* record) noexcept nogil:
    """One more record of the RRset; False: one that is there already, or no room."""
    cdef unsigned int number
    cdef uint8_t* rdata = data.rdatas + data.size
    cdef size_t size = _expand(reader, record, rdata, MAX_SCRATCH - data.size)
    if size == 0 or data.count == MAX_RECORDS:
        return False
    size -= 1
    for number in range(data.count):
        if (
            data.begins[number + 1] - data.begins[number] == size
            and memcmp(data.rdatas + data.begins[number], rdata, size) == 0
        ):
            return False
    data.begins[data.count] = data.size
    data.size += size
    data.count += 1
    data.begins[data.count] = data.size
    data.ttl = min(data.ttl, 0 if record.ttl > <uint32_t>MAX_TTL else record.ttl)
    return True


cdef bint _read_answer(
    Reader* reader, unsigned int count, unsigned int qtype, const Names* names, const TtlLimits* limits,
    Writer* writer, Chain* chain, Data* data
) noexcept nogil:
    """Walk the answer section: the links are written, the data is put by."""
    cdef Record record
    cdef Text* here
    cdef uint8_t target[MAX_NAME + 1]
    cdef size_t size
    cdef unsigned int _number
    for _number in range(count):
        here = &chain.names[chain.count - 1]
        if not _read_record(reader, &record) or record.rclass != CLASS_IN:
            return False
        if not _same(&record.owner, here.octets, here.size):
            return False
        if record.rtype == qtype:
            if data.count == 0:
                data.owner = record.owner
            elif qtype == CNAME:
                return False  # a name has no second alias (RFC 2181 section 10.1): the engine takes the first
            if not _add(data, reader, &record):
                return False
        elif record.rtype == CNAME and data.count == 0:
            size = _expand(reader, &record, target, MAX_NAME)
            if size == 0:
                return False
            writer.out.keep = min(writer.out.keep, _clamped(record.ttl, limits))
            if not _put_record(writer, &record.owner, CNAME, _clamped(record.ttl, limits), target, size - 1):
                return False
            writer.out.an += 1
            if not _follow(chain, target, size - 1, names):
                return False
        else:
            return False
    return True


cdef bint _read_rest(
    Reader* reader, unsigned int count, bint additional, Record* soa, unsigned int* soas, Accepted* out
) noexcept nogil:
    """Walk a section of which nothing but a SOA may be of use; False: not well-formed, or more than is plain."""
    cdef Record record
    cdef uint8_t scratch[2 * MAX_NAME + 1280]
    cdef unsigned int _number
    for _number in range(count):
        if not _read_record(reader, &record):
            return False
        if record.rtype == OPT:
            # RFC 6891 section 6.1.1; the upper bits of the RCODE have to be clear.
            if not additional or out.has_opt or record.owner.size != 1 or record.ttl >> 24:
                return False
            out.has_opt = True
            continue
        if record.rclass != CLASS_IN or _expand(reader, &record, scratch, sizeof(scratch)) == 0:
            return False
        if not additional:
            if record.rtype == RRSIG or record.rtype == NSEC or record.rtype == NSEC3:
                return False
            if record.rtype == SOA:
                soas[0] += 1
                soa[0] = record
    return True


cdef bint _write_data(Writer* writer, const Data* data, unsigned int qtype, const TtlLimits* limits) noexcept nogil:
    cdef uint32_t ttl = max(limits.least, min(data.ttl, limits.most))
    cdef size_t first = writer.out.body_size, before = 0
    cdef unsigned int number
    writer.out.keep = min(writer.out.keep, ttl)
    for number in range(data.count):
        before = writer.out.body_size
        if not _put_record(
            writer, &data.owner, qtype, ttl,
            data.rdatas + data.begins[number], data.begins[number + 1] - data.begins[number],
        ):
            return False
    writer.out.an += <uint16_t>data.count
    # Only records that are equally long can turn: the first alone may spell out its owner.
    if qtype < LAYOUT_TYPES and _LAYOUTS[qtype].fixed and data.count > 1:
        before = writer.out.body_size - before
        if writer.out.body_size - first == before * data.count:
            writer.out.rotate_at = <uint16_t>first
            writer.out.rotate_count = <uint16_t>data.count
            writer.out.rotate_size = <uint16_t>before
    return True


cdef bint _write_denial(
    Writer* writer, const Reader* reader, const Record* soa, const Text* end, const TtlLimits* limits
) noexcept nogil:
    """RFC 2308 section 5: kept for the lesser of the SOA's TTL and its MINIMUM."""
    cdef uint8_t rdata[2 * MAX_NAME + 20]
    cdef size_t size = _expand(reader, soa, rdata, sizeof(rdata)), at = 0, border
    cdef uint32_t minimum, ttl = 0 if soa.ttl > <uint32_t>MAX_TTL else soa.ttl
    if size == 0 or soa.owner.size > end.size:
        return False
    border = end.size - soa.owner.size
    while at < border:
        at += <size_t>end.octets[at] + 1
    if at != border or not _same(&soa.owner, end.octets + border, soa.owner.size):
        return False
    minimum = _u32(rdata + size - 1 - 4)
    ttl = min(ttl, 0 if minimum > <uint32_t>MAX_TTL else minimum)
    ttl = min(max(ttl, limits.least_negative), limits.most_negative)
    writer.out.keep = min(writer.out.keep, ttl)
    writer.out.ns = 1
    return _put_record(writer, &soa.owner, SOA, ttl, rdata, size - 1)


cdef bint accept_untrusted(
    const uint8_t* wire, size_t size, unsigned int id, const uint8_t* name, size_t name_size, unsigned int qtype,
    const Names* names, const TtlLimits* limits, Accepted* accepted
) noexcept nogil:
    """Fill in `accepted` from a reply to the question for a folded name; False: it is not plain, nothing of it counts.

    Args:
        names: those that a chain may not lead to.
    """
    cdef Reader reader
    cdef Writer writer
    cdef Chain chain
    cdef Data data
    cdef Record soa
    cdef unsigned int flags, soas = 0
    cdef size_t end = HEADER_SIZE + name_size + 4
    if size < end or size > MOST or _u16(wire) != id or _u16(wire + 4) != 1:
        return False
    flags = _u16(wire + 2)
    if not flags & QR or flags & (OPCODE | TC) or (flags & 0xF and (flags & 0xF) != NXDOMAIN):
        return False
    if memcmp(wire + HEADER_SIZE, name, name_size) != 0:
        return False
    if _u16(wire + end - 4) != qtype or _u16(wire + end - 2) != CLASS_IN:
        return False
    reader.wire = wire
    reader.size = size
    reader.at = end
    memset(accepted, 0, sizeof(Accepted) - sizeof(accepted.body) - sizeof(accepted.ttls))
    accepted.rcode = <uint8_t>(flags & 0xF)
    accepted.ttl = 0xFFFFFFFF
    accepted.keep = limits.most
    writer.out = accepted
    writer.at = HEADER_SIZE
    writer.base = end
    writer.text_size = writer.ending_count = 0
    if not _remember(&writer, name, name_size, name_size, 0):
        return False
    writer.at = end
    chain.count = 1
    chain.names[0].size = name_size
    memcpy(chain.names[0].octets, name, name_size)
    data.count = 0
    data.size = data.begins[0] = 0
    data.ttl = MAX_TTL
    if not _read_answer(&reader, _u16(wire + 6), qtype, names, limits, &writer, &chain, &data):
        return False
    if not _read_rest(&reader, _u16(wire + 8), False, &soa, &soas, accepted):
        return False
    if not _read_rest(&reader, _u16(wire + 10), True, &soa, &soas, accepted):
        return False
    if data.count:
        return accepted.rcode == 0 and _write_data(&writer, &data, qtype, limits)
    return soas == 1 and _write_denial(&writer, &reader, &soa, &chain.names[chain.count - 1], limits)


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
