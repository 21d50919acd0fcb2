"""Bytes <-> meaning of DNS messages. Imports nothing of the daemon but its errors; no I/O, no clock."""
