"""Networks that several tests of compression share."""

import torch

from edgebook.models import build_model
from edgebook.training.batch_norm_statistics import reestimate_batch_norm
from edgebook.training.loop import seed_all


def uneven_ds_cnn(task):
    """An untrained ds_cnn with random batch norm scales and the statistics that go with them."""
    seed_all(0)
    model = build_model("ds_cnn", task.input_shape, task.n_outputs, width=16, n_blocks=2)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.05, 3)
            torch.nn.init.uniform_(module.bias, -1, 1)
    return reestimate_batch_norm(model, task, n_items=256)
