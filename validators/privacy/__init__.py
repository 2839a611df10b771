"""Judges of privacy: what the synthetic rows give away about single training rows."""
