"""Search for an architecture: the space, the methods that walk through it, the audit of what they bring.

space.py and models/genotype.py say what can be searched, evolution.py, q_learning.py and random.py propose, study.py keeps
every trial, fitness.py evaluates, audit.py judges. autotune.py searches the whole chain of compression for a board.
"""

METHODS = {
    "random": "edgebook.search.random:random_search",
    "ga": "edgebook.search.evolution:genetic_algorithm",
    "ageing": "edgebook.search.evolution:ageing_evolution",
    "nsga2": "edgebook.search.evolution:nsga2",
    "q_learning": "edgebook.search.q_learning:q_learning",
}

COSTS = {  # of a searched net, before it is trained
    "n_params": "edgebook.search.fitness:n_params",
    "macs": "edgebook.search.fitness:macs",
    "size_bytes": "edgebook.search.fitness:size_bytes",
    "arena_bytes": "edgebook.search.fitness:arena_bytes",
    "latency_ms_est": "edgebook.search.fitness:latency_ms_est",
}
