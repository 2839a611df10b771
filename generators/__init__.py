"""Everything that can learn a dataset and sample from it."""
