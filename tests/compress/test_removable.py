"""A group of channels that cannot be removed is left out and named; the others are pruned, and the network comes back."""

import pytest
import torch
from torch import nn

from edgebook.compress.prune.channels import prune
from edgebook.compress.prune.dependency_groups import channels_to_keep, remove
from edgebook.compress.prune.importance import rank_channels
from edgebook.compress.prune.removable import OTHERWISE, refusals
from edgebook.errors import Unsupported
from edgebook.models import allow_network, build_model
from edgebook.tasks import load_task
from edgebook.training import store
from edgebook.training.loop import infer

NETWORKS = """
import torch
from torch import nn

class Shuffle(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.branch = nn.Conv1d(1, 16, 3, stride=2), nn.Sequential(nn.Conv1d(8, 12, 1), nn.ReLU(), nn.Conv1d(12, 8, 1))
        self.last, self.head = nn.Conv1d(16, 20, 1), nn.Linear(20, 10)

    def forward(self, x):
        left, right = self.stem(x).chunk(2, 1)
        x = torch.cat([left, self.branch(right)], 1)
        x = x.view(len(x), 2, 8, -1).transpose(1, 2).reshape(len(x), 16, -1)
        return self.head(torch.relu(self.last(x)).mean(2))

class Attention(nn.Module):
    def __init__(self, width=16, heads=2):
        super().__init__()
        self.heads, self.patch = heads, nn.Conv1d(1, width, 8, 8)
        self.token, self.place = nn.Parameter(torch.randn(1, 1, width)), nn.Parameter(torch.randn(1, 6, width))
        self.norm, self.qkv, self.proj = nn.LayerNorm(width), nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 24), nn.GELU(), nn.Linear(24, width))
        self.head = nn.Linear(width, 10)

    def forward(self, x):
        x = self.patch(x).transpose(1, 2)
        x = torch.cat([self.token.expand(len(x), -1, -1), x], 1) + self.place
        n, t, d = x.shape
        q, k, v = self.qkv(self.norm(x)).reshape(n, t, 3, self.heads, 8).permute(2, 0, 3, 1, 4).unbind(0)
        x = x + self.proj(((q @ k.transpose(-2, -1)).softmax(-1) @ v).transpose(1, 2).reshape(n, t, d))
        return self.head((x + self.mlp(x))[:, 0])

class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.head = nn.Linear(1, 16), nn.Linear(16, 10)
        self.rest = nn.TransformerEncoder(nn.TransformerEncoderLayer(16, 2, 24, batch_first=True), 1)

    def forward(self, x):
        return self.head(self.rest(self.embed(x.transpose(1, 2))).mean(1))

class Recurrent(nn.Module):
    def __init__(self, kind, read):
        super().__init__()
        self.conv, self.norm = nn.Conv1d(1, 12, 3, stride=2), nn.BatchNorm1d(12)
        self.rnn = getattr(nn, kind)(12, 6, batch_first=True, bidirectional=read == "both")
        self.read, self.head = read, nn.Linear(12 if read == "both" else 6, 10)

    def forward(self, x):
        steps, state = self.rnn(torch.relu(self.norm(self.conv(x))).transpose(1, 2))
        state = state[0] if isinstance(state, tuple) else state
        return self.head(state[-1] if self.read == "state" else steps[:, -1])

class Softmax(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second, self.head = nn.Conv1d(1, 8, 3), nn.Conv1d(8, 8, 3), nn.Linear(8, 10)

    def forward(self, x):
        return self.head(torch.relu(self.second(self.first(x).softmax(1))).mean(2))

shuffle, attention, encoder, softmax = (lambda shape, n, kind=kind: kind() for kind in (Shuffle, Attention, Encoder, Softmax))

def recurrent(shape, n, kind, read):
    return Recurrent(kind, read)
"""


@pytest.fixture(scope="module")
def signals():
    return load_task("mnist1d")


@pytest.fixture(scope="module")
def build(tmp_path_factory, signals):
    """A function that builds a network of NETWORKS by its name."""
    file = tmp_path_factory.mktemp("networks") / "several.py"
    file.write_text(NETWORKS)
    allow_network(str(file))

    def make(name, **shape):
        torch.manual_seed(0)
        return build_model(f"{file}:{name}", signals.input_shape, signals.n_outputs, **shape).eval()

    return make


def comes_back(model, task, tmp_path):
    """Whether the store gives back a network with the same outputs."""
    store.save(model, tmp_path / "net.pt")
    return torch.equal(infer(store.load(tmp_path / "net.pt"), task.x_val[:8]), infer(model, task.x_val[:8]))


CASES = {  # network -> groups that stay with what the reason says, other layers in them, groups that are pruned
    "shuffle": ({"branch.2": "size"}, ("stem",), {"branch.0", "last"}),
    "attention": ({"mlp.3": "shape", "qkv": "shape"}, ("patch", "proj"), {"mlp.1"}),
    "softmax": ({"first": OTHERWISE}, (), {"second"}),
}


@pytest.mark.parametrize("name", CASES)
def test_what_cannot_be_removed_is_left_out_with_a_reason_and_the_rest_is_pruned(name, build, signals, tmp_path):
    model, (staying, beside, pruned) = build(name), CASES[name]
    refused = refusals(model, signals.input_shape)
    assert refused.keys() == staying.keys()
    assert all(said in refused[group] and "\n" not in refused[group] for group, said in staying.items())
    assert rank_channels(model, signals, importance="l2").scores.keys() == pruned
    smaller = prune(model, signals, pruning_ratio=0.5, round_to=1)
    for layer in [*staying, *beside, *pruned]:
        weights = [net.get_submodule(layer).weight for net in (smaller, model)]
        assert len(weights[0]) == len(weights[1]) // (2 if layer in pruned else 1)
    assert comes_back(smaller, signals, tmp_path)


def test_parameters_of_modules_with_children_come_back(build, signals, tmp_path):
    model = build("encoder")
    smaller = prune(model, signals, pruning_ratio=0.5, round_to=1)
    layer = smaller.rest.layers[0]
    assert (layer.self_attn.in_proj_weight.shape, layer.self_attn.embed_dim, layer.linear1.out_features) == ((24, 8), 8, 12)
    assert comes_back(smaller, signals, tmp_path)


@pytest.mark.parametrize(
    ("kind", "read"), [("GRU", "last"), ("GRU", "state"), ("LSTM", "state"), ("LSTM", "both"), ("RNN", "last")]
)
def test_convolutions_before_a_recurrent_layer_are_pruned(kind, read, build, signals, tmp_path):
    model = build("recurrent", kind=kind, read=read)
    nn.init.uniform_(model.norm.bias, -1, 1)
    smaller = prune(model, signals, pruning_ratio=0.5, round_to=1)
    assert (smaller.conv.out_channels, smaller.rnn.input_size, smaller.rnn.hidden_size) == (6, 6, 6)
    assert comes_back(smaller, signals, tmp_path)
    ranking = rank_channels(model, signals, importance="l2")
    gone = ranking.scores["conv"].argsort()[:6]
    for weight in (model.norm.weight, model.norm.bias):
        weight.data[gone] = 0.0
    torch.testing.assert_close(infer(smaller, signals.x_val[:8]), infer(model, signals.x_val[:8]), atol=1e-5, rtol=1e-4)


def test_a_network_without_removable_channels_is_unsupported_with_the_reasons(build, signals):
    model = build("softmax")
    model.second = nn.Identity()
    with pytest.raises(Unsupported, match=f"no channels can be removed: first: {OTHERWISE}"):
        prune(model, signals, pruning_ratio=0.5)


def test_uneven_shares_of_removable_groups_stay_exact(build, signals):
    """Other channels than those of the trial: the networks that other ratios leave still run."""
    model = build("shuffle")
    ranking = rank_channels(model, signals, importance="l1")
    for ratio in (0.1, 0.4, 0.9):
        smaller = remove(model, signals.input_shape, ranking, channels_to_keep(ranking, ratio))
        assert infer(smaller, signals.x_val[:4]).shape == (4, 10)
