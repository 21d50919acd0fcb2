"""Records of an answer, written with compressed names."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t

from hsdnsd.native._cursor cimport Text

cdef enum:
    MAX_BODY = 1280
    MAX_RECORDS = 112  # of 11 octets at least, in the 1,232 that an upstream may send
    # Names of a reply, each ending its own; and their octets.
    MAX_ENDINGS = 128
    MAX_TEXT = 2048

# Where an ending of a name stands in the message, and how many pointers lie between it and the root.
cdef struct Ending:
    uint16_t text  # folded, in `Writer.text`
    uint8_t size
    uint8_t depth
    uint16_t offset

# What stands behind the question, which takes up the message to `begin`.
cdef struct Writer:
    uint8_t* body  # room for MAX_BODY
    uint16_t* ttls  # offsets in the body; room for MAX_RECORDS
    size_t begin
    uint16_t size
    uint16_t ttl_count
    uint32_t ttl  # the least of those that were written
    size_t text_size
    unsigned int ending_count
    Ending endings[MAX_ENDINGS]
    uint8_t text[MAX_TEXT]

cdef bint open_writer(
    Writer* writer, uint8_t* body, uint16_t* ttls, const uint8_t* name, size_t name_size
) noexcept nogil
cdef bint put_record(
    Writer* writer, const Text* owner, unsigned int rtype, uint32_t ttl, const uint8_t* rdata, size_t size
) noexcept nogil
