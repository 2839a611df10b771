"""Judges: evidence in, measurements out, verdict by policy."""
