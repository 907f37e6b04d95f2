"""How well does a table of layer times predict the latency of files that it has not seen?

    python benchmarks/layer_times.py --task mnist1d --nets 30 --unseen 30

Random members of a search space are exported as int8 files and timed. The table is fitted to the first ones; printed are its
errors by cross-validation, and those on the others.
"""

from __future__ import annotations

import argparse

import torch

from edgebook.measure.latency_table import error_report, fit, layers_of
from edgebook.measure.profile import latencies, untrained
from edgebook.search.fitness import new_net
from edgebook.search.layer_times import sampled
from edgebook.search.space import Space
from edgebook.tasks import load_task


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--task", default="mnist1d")
    parser.add_argument("--runtime", default="litert")
    parser.add_argument("--nets", type=int, default=30, help="to which the table is fitted")
    parser.add_argument("--unseen", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    task = load_task(options.task)
    members = sampled(Space(task.input_shape, n_blocks=(1, 4)), options.nets + options.unseen, options.seed)
    nets = [untrained(new_net(task, genotype), task) for genotype in members]
    ms, layers = latencies(nets, task, runtime=options.runtime), [layers_of(net, task.input_shape) for net in nets]
    n = options.nets
    table = fit(layers[:n], ms[:n])
    print(f"{n} files: error {table.median_error:.1%} (median), {table.worst_error:.1%} (worst) by cross-validation")
    shown = error_report(table, layers[n:], ms[n:])
    print(f"{shown['n']} unseen files: {shown['median']:.1%} (median), {shown['p90']:.1%} (p90), {shown['worst']:.1%} (worst)")


if __name__ == "__main__":
    main()
