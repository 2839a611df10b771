"""Is the synthetic table like a fresh real one?"""
