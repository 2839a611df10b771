"""Native tabular synthesizers, one family a file, on the shared training loop."""
