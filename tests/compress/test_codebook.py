"""Shared weights, packed files, mixed bits, equalization, the collapse detector, and training with rounding in the loop."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
import torch

from edgebook import affine, rows
from edgebook.compress.quantize import diagnose as guard
from edgebook.compress.quantize.codebook import (
    LLOYD_STEPS,
    clusters,
    codebook,
    finetune_codebook,
    finetune_levels,
    kmeans,
    weight_names,
)
from edgebook.compress.quantize.equalize import correct_bias, equalize, pairs
from edgebook.compress.quantize.mixed_precision import assign, mean_bits, sensitivity, stored_bits, uniform
from edgebook.errors import BadInput, Unsupported
from edgebook.models import build_model, folded
from edgebook.runtimes import packed
from edgebook.tasks import load_task
from edgebook.training.batch_norm_statistics import reestimate_batch_norm
from edgebook.training.loop import infer, seed_all


@pytest.fixture(scope="module")
def task():
    return load_task("digits")


@pytest.fixture(scope="module")
def net(task):
    """An untrained ds_cnn with batch-norm statistics of its own, as training would leave them."""
    seed_all(0)
    model = build_model("ds_cnn", task.input_shape, task.n_outputs, width=16, n_blocks=2)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.05, 3)
            torch.nn.init.uniform_(module.bias, -1, 1)
    return reestimate_batch_norm(model, task, n_items=256)


def weight_error(model, other):
    return sum((model.get_parameter(n) - other.get_parameter(n)).square().sum().item() for n in weight_names(model))


@pytest.mark.parametrize("levels", ["kmeans", "linear"])
def test_more_bits_never_raise_the_weight_error(net, task, levels):
    errors = [weight_error(net, codebook(net, task, bits=bits, levels=levels)) for bits in (2, 3, 4, 6, 8)]
    assert errors == sorted(errors, reverse=True)
    assert weight_error(net, codebook(net, task, bits=32, levels=levels)) == 0


def test_kmeans_is_as_good_as_scikit_learns():
    from sklearn.cluster import KMeans

    w = torch.randn(400, generator=torch.Generator().manual_seed(0))
    starts = np.linspace(w.min(), w.max(), 8), np.quantile(w, (np.arange(8) + 0.5) / 8)
    fits = [KMeans(8, init=s[:, None], n_init=1, tol=0, max_iter=300).fit(w.numpy()[:, None]).inertia_ for s in starts]
    own = (kmeans(w, 3) - w).square().sum()
    best = KMeans(8, n_init=20, random_state=0).fit(w.numpy()[:, None]).inertia_
    assert 0.98 * best <= own <= 1.02 * best  # centres are float16
    assert own <= 1.01 * min(fits)


def test_every_kind_of_level_keeps_its_promise(net, task):
    for bits in (2, 4):
        for name, (_, n) in clusters(codebook(net, task, bits=bits)).items():
            assert n <= 2**bits, name
    powers = codebook(net, task, bits=4, levels="log2").get_parameter("linear.weight").data
    used = powers[powers != 0].abs().log2()
    assert torch.equal(used, used.round())
    assert len(powers.unique()) <= 2**4 - 1


@pytest.mark.parametrize(
    ("bits", "levels"), [(2, "kmeans"), (3, "kmeans"), (6, "kmeans"), (4, "linear"), (8, "linear"), (4, "log2")]
)
def test_packed_file_round_trip_is_exact(net, task, tmp_path, bits, levels):
    shared = packed.settled(codebook(net, task, bits=bits, levels=levels))
    packed.convert(shared, None, tmp_path / "net.pack")
    state = packed.read(tmp_path / "net.pack").state_dict()
    for name, tensor in shared.state_dict().items():
        assert torch.equal(tensor, state[name]) or name.endswith("num_batches_tracked"), name
    x = task.x_test[:50]
    assert torch.allclose(
        infer(packed.read(tmp_path / "net.pack"), x), infer(codebook(net, task, bits=bits, levels=levels), x), atol=1e-3
    )


def test_packed_size_is_bits_times_weights_and_codebooks(task, tmp_path):
    seed_all(0)
    model = build_model("resnet8", task.input_shape, task.n_outputs)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter)  # zeros and ones would take no bits
    floats = sum(p.numel() for p in model.parameters() if p.ndim == 1) * 4
    for bits in (2, 4):
        shared = codebook(model, task, bits=bits)
        packed.convert(shared, None, tmp_path / "net.pack")
        expected = sum(stored_bits(p.numel(), bits) for p in model.parameters() if p.ndim > 1) / 8 + floats
        assert (tmp_path / "net.pack").stat().st_size == pytest.approx(expected, rel=0.03)
        assert packed.precision(shared) == f"codebook-{bits}bit"
    assert packed.precision(codebook(model, task, bits=4, levels="linear")) == "int4-weight"
    assert packed.precision(model) == "fp32"


def test_packed_pruned_net_round_trip(task, tmp_path):
    from edgebook.compress.prune.channels import prune

    seed_all(0)
    model = prune(build_model("resnet8", task.input_shape, task.n_outputs), task, pruning_ratio=0.5)
    packed.convert(model, None, tmp_path / "net.pack")
    assert torch.allclose(infer(packed.read(tmp_path / "net.pack"), task.x_test[:20]), infer(model, task.x_test[:20]), atol=1e-4)


def test_damaged_packed_file_is_bad_input(net, tmp_path):
    packed.convert(net, None, tmp_path / "net.pack")
    raw = bytearray((tmp_path / "net.pack").read_bytes())
    raw[-20] ^= 1
    (tmp_path / "net.pack").write_bytes(raw)
    with pytest.raises(BadInput, match="checksum"):
        packed.read(tmp_path / "net.pack")


@pytest.mark.parametrize("bits", range(9))
def test_bit_stream_round_trip(bits):
    indices = np.random.default_rng(bits).integers(0, 2**bits, 1001)
    assert np.array_equal(packed.unpack_bits(packed.pack_bits(indices, bits), bits, 1001), indices)
    assert len(packed.pack_bits(indices, bits)) == -(-1001 * bits // 8)


def test_finetuned_codebook_keeps_its_assignment(net, task):
    shared = codebook(net, task, bits=3)
    tuned = finetune_codebook(shared, task, epochs=1, lr=0.005)
    for name, (index, n) in clusters(shared).items():
        values = tuned.get_parameter(name).data.flatten()
        assert all(len(values[index == one].unique()) == 1 for one in range(n)), name
    assert weight_error(shared, tuned) > 0
    assert weight_error(shared, codebook(net, task, bits=3)) == 0  # the input is untouched


def test_finetuned_levels_stay_on_the_grid(net, task):
    tuned = finetune_levels(net, task, bits=4, levels="linear", epochs=1, lr=0.005)
    assert packed.precision(tuned) == "int4-weight"
    assert tuned.state_dict().keys() == net.state_dict().keys()


@pytest.mark.parametrize("bits", [0, 9, 2.5])
def test_bits_out_of_range_are_one_line(net, task, bits):
    with pytest.raises(BadInput, match="allowed: 1 to 8"):
        codebook(net, task, bits={"linear.weight": bits})


def test_weights_may_change_their_centre_as_they_are_trained(net, task):
    few = dataclasses.replace(task, x_train=task.x_train[:500], y_train=task.y_train[:500])
    short = {"epochs": 2, "lr": 0.01, "teacher": net, "soft_weight": 0.5}
    before = clusters(shared := codebook(net, few, bits=2))
    free, fixed = (clusters(one) for one in (
        finetune_levels(net, few, bits=2, levels="kmeans", **short), finetune_codebook(shared, few, **short)
    ))  # fmt: skip
    assert free.keys() == set(weight_names(net))
    assert all(n <= 4 for _, n in free.values())
    assert all(torch.equal(fixed[name][0], before[name][0]) for name in before)
    asked = {name: kmeans(net.get_parameter(name).data, 2, steps=LLOYD_STEPS) for name in before}  # what training began with
    begun = {name: w.flatten().unique(return_inverse=True)[1] for name, w in asked.items()}
    assert not all(torch.equal(free[name][0], begun[name]) for name in before)


@pytest.mark.parametrize("bits", [2, 4, 6])
def test_few_steps_come_near_to_the_whole_k_means(bits):
    w = torch.randn(5000, generator=torch.Generator().manual_seed(0)) ** 3  # heavy tails
    errors = [(kmeans(w, bits, steps=steps) - w).square().sum().item() for steps in (LLOYD_STEPS, 100)]
    assert errors[1] <= errors[0] <= 1.6 * errors[1]


def test_nan_weights_and_unknown_layers_are_bad_input(net, task):
    with pytest.raises(BadInput, match="is no weight; known: stem"):
        codebook(net, task, bits={"nothing": 4})
    broken = build_model("mlp", task.input_shape, task.n_outputs)
    next(broken.parameters()).data[0, 0] = float("nan")
    with pytest.raises(BadInput, match="NaN"):
        codebook(broken, task, bits=4)


def test_constant_layer_survives(task, tmp_path):
    model = build_model("mlp", task.input_shape, task.n_outputs)
    for parameter in model.parameters():
        parameter.data.zero_()
    for levels in ("kmeans", "linear", "log2"):
        shared = codebook(model, task, bits=2, levels=levels)
        assert not any(parameter.any() for parameter in shared.parameters())
        packed.convert(shared, None, tmp_path / "net.pack")


def test_knapsack_is_the_best_of_all_assignments():
    draw = np.random.default_rng(0)
    table = [{"layer": f"l{i}", "bits": b, "n_weights": n, "divergence": float(draw.random() / 2**b)}
             for i, n in enumerate((5000, 9000, 30000)) for b in (2, 4, 8)]  # fmt: skip
    loss = {(row["layer"], row["bits"]): row["divergence"] for row in table}
    sizes = {row["layer"]: row["n_weights"] for row in table}
    total = lambda bits: sum(stored_bits(sizes[name], own) for name, own in bits.items()) / sum(sizes.values())  # noqa: E731
    for average in (2.6, 4.0, 5.5):
        every = [dict(zip(sizes, bits)) for bits in itertools.product((2, 4, 8), repeat=3)]
        best = min(sum(loss[item] for item in bits.items()) for bits in every if total(bits) <= average)
        found = assign(table, average_bits=average)
        assert total(found) <= average
        assert sum(loss[item] for item in found.items()) == pytest.approx(best)
    with pytest.raises(BadInput, match="too few"):
        assign(table, average_bits=1.0)


def test_sensitivity_falls_with_bits_and_mixed_fits_the_uniform_size(net, task):
    table = sensitivity(net, task, compress=codebook, options=[2, 4, 8], n_items=64)
    mean = {bits: np.mean([row["divergence"] for row in table if row["bits"] == bits]) for bits in (2, 4, 8)}
    assert mean[2] > mean[4] > mean[8] >= -1e-6
    even = uniform(net, 4)
    assert mean_bits(net, assign(table, average_bits=mean_bits(net, even))) <= mean_bits(net, even)


def test_equalization_computes_the_same_with_even_channels(net, task):
    even, x = equalize(net, task), task.x_test[:50]
    assert torch.allclose(infer(even, x), infer(net, x), atol=1e-3)
    first, _, second = pairs(net)[0]
    w = folded.weights(even)
    r1, r2 = w[first].abs().flatten(1).amax(1), w[second].abs().flatten(1).amax(1)  # the second is depthwise
    assert torch.allclose(r1, r2, rtol=0.05)
    worst = [min(row["sqnr_db"] for row in guard.layer_report(model)) for model in (net, even)]
    assert worst[1] > worst[0]
    with pytest.raises(Unsupported, match="no two layers"):
        equalize(build_model("gru", task.input_shape, task.n_outputs), task)


def test_bias_correction_takes_back_the_mean_error(task):
    seed_all(0)
    model = build_model("mlp", task.input_shape, task.n_outputs).eval()
    first = next(layer for layer in model.modules() if isinstance(layer, torch.nn.Linear))
    fixed = correct_bias(model, task, bits=3, n_items=len(task.x_train))
    other = next(layer for layer in fixed.modules() if isinstance(layer, torch.nn.Linear))
    x, rounded = task.x_train.flatten(1), affine.round_trip(first.weight.detach(), bits=3)
    want = torch.nn.functional.linear(x, first.weight, first.bias).mean(0)
    assert torch.allclose(torch.nn.functional.linear(x, rounded, other.bias).mean(0), want, atol=1e-4)


def test_the_detector_names_the_layer_that_was_spoilt(net, task):
    worst = equalize(net, task)
    name = pairs(net)[0][2]
    worst.get_submodule(folded.norms(worst)[name]).weight.data[0] *= 1000
    assert guard.layer_report(worst)[0]["layer"] == name
    row = rows.new_row(
        score=0.12, agreement=0.2, label="int8", runtime="litert", precision="int8-static", asked={"granularity": "tensor"}
    )
    assert name in guard.explain(row, worst, 10)
    assert guard.explain({**row, "score": 0.9, "agreement": 0.99}, worst, 10) is None
    assert guard.flags({**row, "compression_ratio": 0.9, "speed_verdict": "slower"}) == ["not smaller", "slower"]


def test_qat_file_is_the_network_that_was_trained(task, tmp_path, monkeypatch):
    from edgebook.compress.quantize.qat import qat
    from edgebook.runtimes import export, runtime
    from edgebook.runtimes.quiet import quiet
    from edgebook.training.store import cached

    monkeypatch.setenv("EDGEBOOK_STORE", str(tmp_path / "store"))
    model = build_model("conv1d", (1, 40), 10, widths=(8, 8, 8))
    sequences = load_task("mnist1d")
    made = [cached(qat, model, sequences, epochs=3, lr=0.005) for _ in range(2)]  # trained, then loaded
    own = infer(made[0], sequences.x_test)
    assert torch.equal(own, infer(made[1], sequences.x_test))
    for name in ("onnx", "litert", "executorch", "tflm"):
        artifact = export(made[1], sequences, tmp_path / name, runtime=name)
        with quiet():
            outputs = runtime(name).load(artifact.path).predict(sequences.x_test.numpy())
        assert artifact.precision == "int8-static"
        assert (outputs.argmax(1) == own.numpy().argmax(1)).mean() >= 0.995
    with pytest.raises(Unsupported, match="packed"):
        packed.convert(made[1], None, tmp_path / "x.pack")


def test_fake_quantized_batch_norm_follows_the_mode(task):
    from edgebook.compress.quantize.qat import prepare

    net = build_model("resnet8", task.input_shape, task.n_outputs, widths=(8, 8, 8))
    fake, x = prepare(net), task.x_train[:64]

    def means():
        return {name: value.clone() for name, value in fake.state_dict().items() if name.endswith("running_mean")}

    before = means()
    fake.train()(x)
    moved = means()
    fake.eval()(x)
    assert all(not torch.equal(moved[name], before[name]) for name in before)
    assert all(torch.equal(value, moved[name]) for name, value in means().items())
    next(module for module in net.modules() if isinstance(module, torch.nn.BatchNorm2d)).eps = 0.001
    with pytest.raises(Unsupported, match=r"batch norm with eps 0\.001"):
        prepare(net)


@torch.no_grad()
def with_uneven_channels(net):
    """The same function with channel ranges that differ by up to a factor of 1000 on both sides of every ReLU."""
    spoilt, draw = reestimate_batch_norm(net, load_task("digits"), n_items=256), torch.Generator().manual_seed(0)
    for _, norm, second in pairs(spoilt):
        behind, norm = spoilt.get_submodule(second), spoilt.get_submodule(norm)
        s = 10 ** (3 * torch.rand(len(norm.weight), generator=draw) - 1.5)
        norm.weight.mul_(s)
        norm.bias.mul_(s)
        depthwise = getattr(behind, "groups", 1) > 1
        behind.weight.div_(s.reshape(-1 if depthwise else 1, 1 if depthwise else -1, *[1] * (behind.weight.ndim - 2)))
    return spoilt


def test_per_tensor_int8_collapses_on_uneven_depthwise_channels_and_two_remedies_work(net, task, tmp_path):
    from edgebook.runtimes import Quant, runtime
    from edgebook.runtimes.quiet import quiet

    spoilt, onnx = with_uneven_channels(net), runtime("onnx")
    whole = infer(spoilt, task.x_test).numpy()
    cases = {"tensor": (spoilt, "tensor"), "channel": (spoilt, "channel"), "equalized": (equalize(spoilt, task), "tensor")}
    lost = {}
    for name, (model, granularity) in cases.items():
        with quiet():
            onnx.convert(model, task.x_train[:1], tmp_path / "float.onnx")
            quant = Quant(granularity=granularity)
            onnx.quantize(tmp_path / "float.onnx", tmp_path / "int8.onnx", quant, task.x_train[:128].numpy())
        outputs = onnx.load(tmp_path / "int8.onnx").predict(task.x_test.numpy())
        lost[name] = ((outputs - whole).var(0) / whole.var(0)).mean()  # 1: nothing of the answer is left
    assert lost["tensor"] > 0.3
    assert lost["channel"] > 0.3  # the activations still share one scale a layer: finer weights alone do not help here
    assert lost["equalized"] < lost["tensor"] / 10
