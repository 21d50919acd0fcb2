"""How a flight begins."""

from hsdnsd.native._gate cimport Question
from hsdnsd.native._sky cimport Port, Sky

cdef bint fly(Sky* sky, Port* port, unsigned int number, const Question* question, double now) noexcept nogil
