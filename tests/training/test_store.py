"""The store: the same question is answered once, another one is not taken for it, and every network comes back whole."""

import copy
import json
import multiprocessing
import os
import random
import textwrap
from dataclasses import replace

import pytest
import torch
from torch import nn

from edgebook import models
from edgebook.compress.prune.channels import prune
from edgebook.errors import BadInput
from edgebook.models import MODELS, build_model
from edgebook.models.macs import count_params
from edgebook.paths import stored_network
from edgebook.source_key import closure
from edgebook.tasks import load_task
from edgebook.training import store
from edgebook.training.loop import infer, seed_all, train
from edgebook.training.recipe import Recipe
from edgebook.training.weights import weights_hash

CALLS = []
RECIPE = Recipe(epochs=1, batch_size=100)


def shake(model, task, *, amount, also=None):
    """A technique that uses random numbers: adds noise to every weight of a copy."""
    CALLS.append(amount)
    noisy = copy.deepcopy(model)
    for parameter in noisy.parameters():
        parameter.data += amount * torch.randn_like(parameter)
    return noisy


@pytest.fixture
def plain(mnist1d):
    """An untrained conv1d."""
    seed_all(0)
    return build_model("conv1d", mnist1d.input_shape, mnist1d.n_outputs).eval()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty store."""
    monkeypatch.setenv("EDGEBOOK_STORE", str(tmp_path / "store"))
    CALLS.clear()
    return tmp_path / "store"


def test_a_second_call_finds_the_first_whatever_ran_in_between(plain, mnist1d, folder, monkeypatch):
    first = store.cached(shake, plain, mnist1d, amount=0.1)
    again = store.cached(shake, plain, mnist1d, amount=0.1)
    assert CALLS == [0.1]
    monkeypatch.setenv("EDGEBOOK_STORE", str(folder / "another"))
    torch.rand(1234)
    elsewhere = store.cached(shake, plain, mnist1d, amount=0.1)
    assert CALLS == [0.1, 0.1]
    assert weights_hash(first) == weights_hash(again) == weights_hash(elsewhere)


def test_the_store_holds_entries_and_nothing_else(plain, mnist1d, folder):
    made = store.cached(shake, plain, mnist1d, amount=0.1)
    assert [path.name for path in folder.iterdir()] == [f"{made.key}.pt"]


def test_what_decides_the_result_is_in_the_key(plain, mnist1d, digits, monkeypatch):
    other = shake(plain, mnist1d, amount=1e-3)

    def key(fn=shake, model=plain, task=mnist1d, amount=0.1, **more):
        return store.cache_key(fn, model, task, amount=amount, **more)

    keys = [
        key(),
        key(amount=0.2),
        key(model=other),
        key(task=digits),
        key(also=plain),
        key(also=other),
        key(also=RECIPE),
        key(also=replace(RECIPE, lr=0.02)),
        key(also="l1"),
        key(also=[1, 2]),
        key(also={"a": 1}),
        store.cache_key(train, plain, mnist1d, RECIPE),
        store.cache_key(train, plain, mnist1d, replace(RECIPE, augment=True)),
        store.cache_key(train, plain, mnist1d, RECIPE, keep="last"),
    ]
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    keys.append(key())
    assert len(set(keys)) == len(keys)


def test_an_argument_by_position_or_by_name_is_the_same(plain, mnist1d):
    assert store.cache_key(train, plain, mnist1d, RECIPE) == store.cache_key(train, plain, mnist1d, recipe=RECIPE)


def test_the_key_follows_the_methods_that_are_called_through_task_and_network(plain, mnist1d, monkeypatch):
    roots = {}

    def spy(*given, **more):
        roots["given"] = given
        return closure(*given, **more)

    monkeypatch.setattr(store, "closure", spy)
    store.cache_key(train, plain, mnist1d, replace(RECIPE, augment=True))
    fn, kind, metric, augment, *code = roots["given"]
    assert (fn, kind, metric, augment) == (train, mnist1d.kind, mnist1d.metric, mnist1d.augment)
    assert {"edgebook.models.cnn:Conv1dNet", "edgebook.models.cnn:conv1d", "torch.nn.modules.conv:Conv1d"} <= set(code)
    store.cache_key(train, plain, mnist1d, RECIPE)
    assert mnist1d.augment not in roots["given"], "an augmentation that is not used counts for nothing"


def test_library_versions_are_in_the_key(plain, mnist1d, monkeypatch):
    before = store.cache_key(prune, plain, mnist1d, pruning_ratio=0.5, importance="l2")
    monkeypatch.setattr("importlib.metadata.version", lambda name: "99" if name == "torch-pruning" else "1")
    other = store.cache_key(prune, plain, mnist1d, pruning_ratio=0.5, importance="l2")
    monkeypatch.setattr("importlib.metadata.version", lambda name: "1")
    third = store.cache_key(prune, plain, mnist1d, pruning_ratio=0.5, importance="l2")
    assert len({before, other, third}) == 3


@pytest.mark.parametrize("value", [object(), lambda x: x, {1, 2}])
def test_an_argument_that_has_no_key_is_refused(value, plain, mnist1d):
    with pytest.raises(BadInput, match=r"shake: also = .*allowed: plain data, a Recipe, a tensor or a network"):
        store.cache_key(shake, plain, mnist1d, amount=1.0, also=value)


def test_a_function_that_captures_something_is_refused(plain, mnist1d):
    with pytest.raises(BadInput, match="captures nothing"):
        store.cache_key(lambda model, task: plain, plain, mnist1d)


class Net(nn.Module):
    """Small enough to see what the hash sees."""

    def __init__(self, stride=1):
        super().__init__()
        self.stride, self.dense = stride, nn.Linear(2, 2, bias=False)
        self.register_buffer("unsaved", torch.zeros(1), persistent=False)
        self.dense.weight.data = torch.eye(2)


def changed(change):
    net = Net()
    change(net)
    return net


def rename(net):
    net.dense_ = net.dense
    del net.dense


CHANGES = {
    "a weight": lambda net: net.dense.weight.data.add_(1e-7),
    "minus zero": lambda net: net.dense.weight.data.copy_(torch.tensor([[1.0, -0.0], [0.0, 1.0]])),
    "another shape of the same bytes": lambda net: setattr(net.dense.weight, "data", torch.eye(2).reshape(1, 4)),
    "another type of the same bytes": lambda net: setattr(net, "unsaved", torch.zeros(1, dtype=torch.int32)),
    "a name": rename,
    "a setting": lambda net: setattr(net, "stride", 2),
    "a setting of a layer": lambda net: setattr(net.dense, "in_features", 3),
    "a function": lambda net: setattr(net, "activation", torch.relu),
    "a buffer that is not saved": lambda net: net.unsaved.add_(1),
    "the class of a layer": lambda net: setattr(net.dense, "__class__", type("Linear2", (nn.Linear,), {})),
    "a layer more": lambda net: net.add_module("relu", nn.ReLU()),
    "frozen": lambda net: net.dense.weight.requires_grad_(False),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_the_hash_of_a_network_sees(change):
    assert weights_hash(changed(change)) != weights_hash(Net())


def test_the_hash_of_a_network_sees_which_tensors_are_shared():
    def pair(shared):
        first, second = nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False)
        second.weight = first.weight if shared else nn.Parameter(first.weight.detach().clone())
        return nn.Sequential(first, second)

    seed_all(0)
    apart = weights_hash(pair(False))
    seed_all(0)
    assert weights_hash(pair(True)) != apart


def test_the_hash_of_a_network_does_not_see_where_it_came_from():
    net = changed(lambda net: None)
    net.history, net.key, net.seconds = [{"epoch": 1}], "abc", 3.0
    assert weights_hash(net.train()) == weights_hash(Net().eval())


@pytest.fixture
def own_network(tmp_path, monkeypatch):
    """A function that writes a network of the user's own with its helper and gives the key of training it."""
    monkeypatch.setenv("EDGEBOOK_NETWORKS", "")
    (tmp_path / "weights.txt").write_text("0")

    def key(task, *, net="", helper="", weights="0", unrelated=""):
        (tmp_path / "net.py").write_text(
            textwrap.dedent(
                f"""
                from torch import nn
                from helper import width
                WEIGHTS = "weights.txt"
                {net}
                def build(input_shape, n_outputs):
                    return nn.Sequential(nn.Flatten(), nn.Linear(40, width()), nn.ReLU(), nn.Linear(width(), n_outputs))
                """
            )
        )
        (tmp_path / "helper.py").write_text(f"def width():\n    return 4\n{helper}\n")
        (tmp_path / "weights.txt").write_text(weights)
        (tmp_path / "unrelated.py").write_text(unrelated)
        models.allow_network(str(tmp_path / "net.py"))
        seed_all(0)
        model = build_model(f"{tmp_path}/net.py:build", task.input_shape, task.n_outputs)
        return store.cache_key(train, model, task, RECIPE)

    return key


def test_a_network_of_the_users_own_is_in_the_key_with_all_that_it_imports(own_network, mnist1d):
    keys = [
        own_network(mnist1d),
        own_network(mnist1d, net="EDITED = 1"),
        own_network(mnist1d, helper="EDITED = 1"),
        own_network(mnist1d, weights="1"),
    ]
    assert len(set(keys)) == 4
    assert own_network(mnist1d, unrelated="EDITED = 1") == keys[0]


@pytest.mark.parametrize("name", ["resnet8", "ds_cnn", "mobilenet_v2", "lightweight_cnn", "squeezenet"])
def test_a_pruned_network_comes_back_from_its_small_description(name, digits, tmp_path):
    seed_all(0)
    shape = {"width": 0.25} if name == "mobilenet_v2" else {}
    model = build_model(name, digits.input_shape, digits.n_outputs, **shape).eval()
    pruned = prune(model, digits, pruning_ratio=0.5, round_to=4)
    store.save(pruned, tmp_path / "net.pt")
    back = store.load(tmp_path / "net.pt")
    assert count_params(back) == count_params(pruned) < count_params(model)
    assert torch.equal(infer(back, digits.x_test), infer(pruned, digits.x_test))


@pytest.mark.parametrize("name", sorted(MODELS))
def test_every_model_survives_the_round_trip(name, mnist1d, digits, tmp_path):
    of_its_kind = {"autoencoder": "vibration", "unet": "shapes"}
    on_signals = mnist1d if name in ("conv1d", "gru", "lstm", "mlp") else digits
    task = load_task(of_its_kind[name]) if name in of_its_kind else on_signals
    model = build_model(name, task.input_shape, task.n_outputs).eval()
    store.save(model, tmp_path / "net.pt")
    back = store.load(tmp_path / "net.pt")
    assert torch.equal(infer(back, task.x_test[:8]), infer(model, task.x_test[:8]))
    assert weights_hash(back) == weights_hash(model)


def test_parameters_beside_layers_come_back_in_their_changed_shape(tmp_path, monkeypatch):
    (tmp_path / "net.py").write_text(
        textwrap.dedent(
            """
            import torch
            from torch import nn
            class Net(nn.Module):
                def __init__(self, n):
                    super().__init__()
                    self.token, self.dense = nn.Parameter(torch.randn(1, 4)), nn.Linear(4, n)
                    self.register_buffer("positions", torch.randn(4))
                def forward(self, x):
                    return self.dense(x * self.token[:, : x.shape[1]] + self.positions[: x.shape[1]])
            def build(input_shape, n_outputs):
                return Net(n_outputs)
            """
        )
    )
    monkeypatch.setenv("EDGEBOOK_NETWORKS", str(tmp_path / "net.py"))
    model = build_model(f"{tmp_path}/net.py:build", (4,), 3).eval()
    model.token, model.positions = nn.Parameter(model.token[:, :2].clone()), model.positions[:2].clone()
    model.dense.weight, model.dense.in_features = nn.Parameter(model.dense.weight[:, :2].clone()), 2
    store.save(model, tmp_path / "net.pt")
    x = torch.randn(5, 2)
    assert torch.equal(store.load(tmp_path / "net.pt")(x), model(x))


@pytest.fixture
def entry(plain, mnist1d, folder):
    """The file of a stored result."""
    made = store.cached(shake, plain, mnist1d, amount=0.1)
    return stored_network(made.key)


def test_no_flipped_bit_is_loaded(entry):
    content = entry.read_bytes()
    drawn = random.Random(0)
    for _ in range(200):
        place, bit = drawn.randrange(len(content)), drawn.randrange(8)
        entry.write_bytes(content[:place] + bytes([content[place] ^ 1 << bit]) + content[place + 1 :])
        with pytest.raises(BadInput, match=r"is damaged"):
            store.load(entry)
    entry.write_bytes(content)
    assert store.load(entry).key == entry.stem


@pytest.mark.parametrize("damage", [lambda b: b"", lambda b: b[:100], lambda b: b[:-1], lambda b: b + b"x", lambda b: b"PK" + b])
def test_a_damaged_entry_is_made_again_and_named(damage, entry, plain, mnist1d, capsys):
    content = entry.read_bytes()
    entry.write_bytes(damage(content))
    again = store.cached(shake, plain, mnist1d, amount=0.1)
    assert CALLS == [0.1, 0.1]
    assert f"edgebook: {entry}: is damaged" in (said := capsys.readouterr().err)
    assert said.endswith("; made again\n")
    assert weights_hash(store.load(entry)) == weights_hash(again)
    store.cached(shake, plain, mnist1d, amount=0.1)
    assert CALLS == [0.1, 0.1]


def test_an_entry_of_another_version_is_made_again(entry, plain, mnist1d, capsys):
    content = entry.read_bytes()
    entry.write_bytes(content.replace(store.FORMAT, b"edgebook network 1", 1))
    store.cached(shake, plain, mnist1d, amount=0.1)
    assert CALLS == [0.1, 0.1]
    assert "another version; made again" in capsys.readouterr().err
    assert entry.read_bytes().startswith(store.FORMAT)


class Evil:
    """Runs code when it is unpickled."""

    def __reduce__(self):
        return os.system, ("touch /dev/null",)


def test_an_entry_runs_no_code(entry):
    import hashlib
    import io

    buffer = io.BytesIO()
    torch.save({"spec": Evil()}, buffer)
    content = buffer.getvalue()
    entry.write_bytes(b"%s %s\n%s" % (store.FORMAT, hashlib.sha256(content).hexdigest().encode(), content))
    with pytest.raises(BadInput, match="holds more than plain data, which could run code"):
        store.load(entry)


@pytest.mark.parametrize("change", [{"model": "os:system"}, {"model": "evil.py:build"}, {"wrappers": [{"name": "os:system"}]}])
def test_an_entry_names_builders_of_a_table_only(change, plain, tmp_path, monkeypatch):
    monkeypatch.setenv("EDGEBOOK_NETWORKS", "")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "evil.py").write_text("raise SystemError('it ran')")
    plain.spec = plain.spec | change
    store.save(plain, tmp_path / "net.pt")
    with pytest.raises(BadInput, match=r"unknown|not allowed to run"):
        store.load(tmp_path / "net.pt")


def test_a_store_that_cannot_be_written_is_one_line_before_any_work(plain, mnist1d, folder, monkeypatch):
    folder.mkdir()

    def refuse(dir):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("edgebook.files.tempfile.TemporaryFile", refuse)
    with pytest.raises(BadInput, match=f"{folder}: cannot be written: Read-only file system"):
        store.cached(shake, plain, mnist1d, amount=0.1)
    assert CALLS == []


def test_a_store_that_cannot_be_written_still_gives_what_it_has(entry, plain, mnist1d, monkeypatch):
    monkeypatch.setattr("edgebook.files.tempfile.TemporaryFile", lambda dir: pytest.fail("nothing is to be written"))
    assert store.cached(shake, plain, mnist1d, amount=0.1).key == entry.stem


def count_and_shake(model, task, *, counter):
    with open(counter, "a") as file:
        file.write("made\n")
    return shake(model, task, amount=0.1)


def ask(folder, counter, task):
    os.environ["EDGEBOOK_STORE"] = folder
    seed_all(0)
    model = build_model("conv1d", (1, 40), 10).eval()
    store.cached(count_and_shake, model, task, counter=counter)


def test_two_processes_that_need_the_same_network_make_it_once(mnist1d, folder, tmp_path):
    counter = str(tmp_path / "count")
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=ask, args=(str(folder), counter, mnist1d)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert (tmp_path / "count").read_text() == "made\n"
    assert [path.suffix for path in folder.iterdir()] == [".pt"]


def test_an_entry_is_plain_data(entry):
    content = store.read(entry)
    assert json.loads(json.dumps(content["spec"]))["model"] == "conv1d"
    assert content.keys() == {"spec", "structure", "state", "history", "key", "seconds"}


def total(model, task, *, scale):
    CALLS.append(scale)
    return scale * infer(model, task.x_val)


def test_tensors_are_kept_too_and_made_again_when_damaged(plain, mnist1d, folder, capsys):
    first = store.cached_tensor(total, plain, mnist1d, scale=2.0)
    assert torch.equal(first, 2.0 * infer(plain, mnist1d.x_val))
    assert torch.equal(store.cached_tensor(total, plain, mnist1d, scale=2.0), first)
    assert CALLS == [2.0]
    (path,) = folder.iterdir()
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    assert torch.equal(store.cached_tensor(total, plain, mnist1d, scale=2.0), first)
    assert CALLS == [2.0, 2.0]
    assert "checksum differs; made again" in capsys.readouterr().err


def test_a_tensor_among_the_arguments_is_in_the_key(plain, mnist1d):
    keys = [
        store.cache_key(shake, plain, mnist1d, amount=0.1, also=torch.tensor(values)) for values in ([1.0], [1.0], [2.0], [1])
    ]
    assert keys[0] == keys[1]
    assert len(set(keys)) == 3
