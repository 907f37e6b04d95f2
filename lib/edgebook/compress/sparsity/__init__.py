"""Unstructured pruning: single weights become zero.

masks.py chooses the weights, sparsify.py sets them to zero, at once or during training.
"""

SCOPES = ("global", "layer")  # weights ranked over the whole network, or in every layer

CHOICES = {
    "magnitude": "edgebook.compress.sparsity.masks:magnitude",
    "random": "edgebook.compress.sparsity.masks:random",
}
