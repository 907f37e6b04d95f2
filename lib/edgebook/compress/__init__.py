"""Techniques in the float domain: `(model, task, [recipe], *, ...) -> model`, the input untouched.

prune/ removes channels and hidden units, sparsity/ sets single weights to zero, quantize/ restricts the values of weights,
distill/ trains a student; controls.py trains what stands beside a claim, fuse.py folds batch norm. They do not import each
other: notebooks and recipe.py compose them. A package whose parts a preset may name has the table in its `__init__`.
"""
