"""Flights as the engine sees them."""

from hsdnsd.native._names cimport NameSet
from hsdnsd.native._sky cimport Sky
from hsdnsd.native._table cimport Table

cdef class Flights:
    cdef Sky sky
    cdef Table table
    cdef NameSet names
