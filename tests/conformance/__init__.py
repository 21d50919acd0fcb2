"""Judges a running daemon against data sets of questions and expected answers: `make conformance CASES=DIR`."""
