"""Structured pruning: whole channels or hidden units are removed, so that every kernel gets smaller.

channels.py removes channels, hidden_units.py units of a GRU or LSTM, latency_aware.py the channels that cost time;
regularize.py trains for pruning, sensitivity.py measures what each layer can lose.
"""

_PRUNE = "edgebook.compress.prune"

SCOPES = ("uniform", "global", "isomorphic")  # channels ranked per layer, over all layers, or over similar layers

IMPORTANCES = {
    "bn_scale": f"{_PRUNE}.importance:BN_SCALE",
    "fpgm": f"{_PRUNE}.importance:FPGM",
    "hessian": f"{_PRUNE}.importance:HESSIAN",
    "l1": f"{_PRUNE}.importance:L1",
    "l2": f"{_PRUNE}.importance:L2",
    "lamp": f"{_PRUNE}.importance:LAMP",
    "random": f"{_PRUNE}.importance:RANDOM",
    "taylor": f"{_PRUNE}.importance:TAYLOR",
}

HIDDEN_IMPORTANCES = {
    "l1": f"{_PRUNE}.hidden_importance:l1",
    "l2": f"{_PRUNE}.hidden_importance:l2",
    "loss": f"{_PRUNE}.hidden_importance:loss",
    "random": f"{_PRUNE}.hidden_importance:random",
    "taylor": f"{_PRUNE}.hidden_importance:taylor",
}

REGULARIZERS = {
    "bn_scale": f"{_PRUNE}.regularize:BN_SCALE",
    "group_norm": f"{_PRUNE}.regularize:GROUP_NORM",
    "growing_reg": f"{_PRUNE}.regularize:GROWING_REG",
}

COSTS = {
    "loss": f"{_PRUNE}.latency_aware:training_loss",
    "macs": f"{_PRUNE}.latency_aware:remaining_macs",
}
