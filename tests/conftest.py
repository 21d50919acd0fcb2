"""What holds for every test."""

from __future__ import annotations

from hypothesis import settings

# How long an example takes is the machine's affair: one that stands still for a moment fails no property.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
