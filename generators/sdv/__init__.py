"""Families of the Synthetic Data Vault, adapted: SDV learns, plain numbers of what it learnt are all that is kept."""
