"""What `train` costs beside the barest loop over the same items: `python benchmarks/train_speed.py [--model resnet8]`.

CPU time of a whole call on one thread without the validation score, which a bare loop has not; the median of several pairs.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import time

import torch
from torch.nn.functional import cross_entropy

from edgebook.models import build_model
from edgebook.tasks import load_task
from edgebook.training import loop
from edgebook.training.recipe import Recipe

N_ITEMS = 2560  # Fashion-MNIST: 20 steps


def share_of_bare_loop(name: str, pairs: int = 7) -> float:
    """Images per second of `train` divided by those of the barest loop, for an architecture."""
    torch.set_num_threads(1)
    loop.evaluate = lambda *_: 0.0
    task, recipe = load_task("fashion_mnist"), Recipe(epochs=1, batch_size=128, lr=0.01, device="cpu")
    task = dataclasses.replace(task, x_train=task.x_train[:N_ITEMS], y_train=task.y_train[:N_ITEMS])
    net = build_model(name, task.input_shape, task.n_outputs)
    x = task.x_train.contiguous(memory_format=torch.channels_last)
    shares = []
    for _ in range(pairs):
        started = time.process_time()
        bare(build_model(name, task.input_shape, task.n_outputs), x, task.y_train, recipe)
        middle = time.process_time()
        loop.train(net, task, recipe)
        shares.append((middle - started) / (time.process_time() - middle))
    return statistics.median(shares)


def bare(net: torch.nn.Module, x: torch.Tensor, y: torch.Tensor, recipe: Recipe) -> None:
    """One epoch of nothing but training steps, with the optimizer of `train`."""
    net.to(memory_format=torch.channels_last).train()
    optimizer = loop.make_optimizer(net, recipe)
    for items in torch.randperm(len(x)).split(recipe.batch_size):
        optimizer.zero_grad(set_to_none=True)
        cross_entropy(net(x[items]), y[items]).backward()
        optimizer.step()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="resnet8")
    print(f"{share_of_bare_loop(parser.parse_args().model):.1%} of the barest loop's images per second")
