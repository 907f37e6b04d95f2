"""Techniques in the float domain: `(model, task, [recipe], *, ...) -> model`, the input untouched.

prune/ removes channels and hidden units, sparsity/ sets single weights to zero, quantize/ restricts the values of weights,
distill/ trains a student; controls.py trains what stands beside a claim, fuse.py folds batch norm. They do not import each
other: notebooks compose them. Each package's `__init__` has the tables of what a preset may name.
"""
