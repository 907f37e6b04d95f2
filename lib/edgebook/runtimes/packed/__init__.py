"""Bit-packed files: a codebook and indices for every clustered layer. Storage only: they are decoded to run, and not timed."""
