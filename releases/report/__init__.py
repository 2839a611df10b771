"""The report: what a verdict rests on, as one self-contained page for a person."""
