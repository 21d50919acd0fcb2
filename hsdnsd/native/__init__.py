"""Batches of datagrams and the table of finished answers: the Cython part, and its pure twin with the same contract."""
