"""Structured pruning: whole channels or hidden units are removed, so that every kernel gets smaller.

channels.py removes channels, hidden_units.py units of a GRU or LSTM, latency_aware.py the channels that cost time;
regularize.py trains for pruning, sensitivity.py measures what each layer can lose.
"""

SCOPES = ("uniform", "global", "isomorphic")  # channels ranked per layer, over all layers, or over similar layers

IMPORTANCES = {
    "bn_scale": "edgebook.compress.prune.importance:BN_SCALE",
    "fpgm": "edgebook.compress.prune.importance:FPGM",
    "hessian": "edgebook.compress.prune.importance:HESSIAN",
    "l1": "edgebook.compress.prune.importance:L1",
    "l2": "edgebook.compress.prune.importance:L2",
    "lamp": "edgebook.compress.prune.importance:LAMP",
    "random": "edgebook.compress.prune.importance:RANDOM",
    "taylor": "edgebook.compress.prune.importance:TAYLOR",
}

HIDDEN_IMPORTANCES = {
    "l1": "edgebook.compress.prune.hidden_importance:l1",
    "l2": "edgebook.compress.prune.hidden_importance:l2",
    "loss": "edgebook.compress.prune.hidden_importance:loss",
    "random": "edgebook.compress.prune.hidden_importance:random",
    "taylor": "edgebook.compress.prune.hidden_importance:taylor",
}

REGULARIZERS = {
    "bn_scale": "edgebook.compress.prune.regularize:BN_SCALE",
    "group_norm": "edgebook.compress.prune.regularize:GROUP_NORM",
    "growing_reg": "edgebook.compress.prune.regularize:GROWING_REG",
}

COSTS = {
    "loss": "edgebook.compress.prune.latency_aware:training_loss",
    "macs": "edgebook.compress.prune.latency_aware:remaining_macs",
}
