"""Restricted weights: shared values, few bits, rounding in the training loop.

levels.py has the values that weights may take, codebook.py and qat.py train with them, mixed_precision.py distributes bits
over layers, equalize.py repairs a network for one scale per layer, diagnose.py explains what rounding broke.
"""

LEVELS = {
    "kmeans": "edgebook.compress.quantize.levels:KMEANS",
    "kmeans_channel": "edgebook.compress.quantize.levels:KMEANS_CHANNEL",
    "linear": "edgebook.compress.quantize.levels:LINEAR",
    "log2": "edgebook.compress.quantize.levels:LOG2",
}

REPAIRS = {
    "correct_bias": "edgebook.compress.quantize.equalize:correct_bias",
    "equalize": "edgebook.compress.quantize.equalize:equalize",
}

REPAIR_LABELS = {"correct_bias": "biases corrected", "equalize": "channels equalized"}
