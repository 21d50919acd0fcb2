"""Query in, bytes and deadlines out: own zones, cache, exchanges in flight, choice of upstream. No I/O, no clock."""
