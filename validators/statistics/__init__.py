"""Intervals, tests and resampling on plain arrays; nothing here knows a frame."""
