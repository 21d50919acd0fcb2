# cython: cdivision=True
"""A set of names that is made once and only read: some for themselves, some for whatever lies below them too."""

import os

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcmp, memcpy

from hsdnsd.native._siphash cimport siphash

cdef enum:
    MAX_LABELS = 128


cdef size_t _place_of(const Names* names, uint64_t hash, const uint8_t* name, size_t size) noexcept nogil:
    """The place of a name, or the free one where the search for it ends; half of the places are always free."""
    cdef size_t place = hash & names.mask
    cdef NamePlace* found
    while True:
        found = &names.places[place]
        if found.size == 0:
            return place
        if found.hash == hash and found.size == size and memcmp(names.text + found.at, name, size) == 0:
            return place
        place = (place + 1) & names.mask


cdef bint is_listed(const Names* names, const uint8_t* name, size_t size) noexcept nogil:
    """Whether a folded name, well-formed and `size` octets long, is in the set or lies below one that says so."""
    cdef size_t starts[MAX_LABELS]
    cdef unsigned int labels = 0, first, label
    cdef size_t at = 0
    cdef NamePlace* found
    if names.is_all:
        return True
    while at < size and name[at] != 0 and labels < MAX_LABELS:
        starts[labels] = at
        labels += 1
        at += <size_t>name[at] + 1
    if labels == 0:
        # The root, which may be listed for itself.
        starts[0] = 0
        labels = 1
    first = labels - names.most_labels if labels > names.most_labels else 0
    for label in range(labels):
        if label and label < first:
            continue
        at = starts[label]
        found = &names.places[
            _place_of(names, siphash(names.k0, names.k1, name + at, size - at), name + at, size - at)
        ]
        if found.size and (label == 0 or found.below):
            return True
    return False


cdef class NameSet:
    """Folded names: `exact` for themselves, `below` for themselves and whatever lies below them."""

    def __cinit__(self, exact=(), below=()):
        cdef Names* names = &self.names
        cdef bytes seed = os.urandom(16), name
        cdef size_t octets = 0, places = 16, at = 0
        exact, below = list(exact), list(below)
        for name in exact + below:
            if not 1 <= len(name) <= 255:
                raise ValueError("not a name")
            octets += len(name)
        while places < 2 * <size_t>(len(exact) + len(below)):
            places *= 2
        memcpy(&names.k0, <const uint8_t*>seed, 8)
        memcpy(&names.k1, <const uint8_t*>seed + 8, 8)
        names.mask = places - 1
        names.places = <NamePlace*>calloc(places, sizeof(NamePlace))
        names.text = <uint8_t*>malloc(octets + 1)
        if names.places == NULL or names.text == NULL:
            raise MemoryError
        for name in exact:
            at = _add(names, name, False, at)
        for name in below:
            at = _add(names, name, True, at)

    def __dealloc__(self):
        free(self.names.places)
        free(self.names.text)

    def __contains__(self, bytes name not None):
        return is_listed(&self.names, <const uint8_t*>name, len(name))


cdef size_t _add(Names* names, bytes name, bint below, size_t at) except? 0:
    """Put a name at `at` of the text; returns what is behind it."""
    cdef const uint8_t* octets = name
    cdef size_t size = len(name)
    cdef uint64_t hash = siphash(names.k0, names.k1, octets, size)
    cdef NamePlace* place = &names.places[_place_of(names, hash, octets, size)]
    if place.size == 0:
        memcpy(names.text + at, octets, size)
        place.hash = hash
        place.at = <uint32_t>at
        place.size = <uint32_t>size
        at += size
    if below:
        place.below = True
        names.most_labels = max(names.most_labels, <unsigned int>_labels(octets, size))
        names.is_all |= size == 1
    return at


cdef unsigned int _labels(const uint8_t* name, size_t size) noexcept:
    cdef unsigned int labels = 0
    cdef size_t at = 0
    while at < size and name[at] != 0:
        labels += 1
        at += <size_t>name[at] + 1
    return labels
