"""Judges of fairness: who is represented, and with which outcomes."""
