"""Models: published counts and names, shapes, export, rebuilding from the spec, structured pruning, bad input."""

from __future__ import annotations

import copy
import math

import pytest
import torch

from edgebook.compress.quantize.equalize import pairs
from edgebook.errors import BadInput
from edgebook.models import MODELS, build_model, rebuild

IMAGES = ((1, 28, 28), (1, 8, 8), (3, 32, 32))
SEQUENCES = ((1, 40), (3, 20))
ON_IMAGES = ("ds_cnn", "lightweight_cnn", "mobilenet_v2", "resnet8", "squeezenet")
ON_BOTH = ("edge_cnn", "gru", "lstm", "mlp", "searched")
ONE_OUTPUT_PER_CLASS = (
    [(name, shape) for name in ON_IMAGES for shape in IMAGES]
    + [(name, shape) for name in ON_BOTH for shape in IMAGES + SEQUENCES]
    + [("conv1d", shape) for shape in SEQUENCES]
)
FITS = [(name, shape, 7, (7,)) for name, shape in ONE_OUTPUT_PER_CLASS]  # model, input shape, n_outputs, shape of an output
FITS += [("unet", shape, 7, (7, *shape[1:])) for shape in IMAGES]
FITS += [("autoencoder", shape, math.prod(shape), (math.prod(shape),)) for shape in IMAGES + SEQUENCES]
WARNING_OF_RNN_EXPORT = "ignore:The tensor attributes self.rnn._flat_weights"


def n_params(model: torch.nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def test_every_model_is_covered_here():
    assert {name for name, *_ in FITS} == set(MODELS)


@pytest.mark.parametrize(
    ("name", "input_shape", "n_outputs", "shape", "count"),
    [
        ("conv1d", (1, 40), 10, {}, 5_210),  # published, MNIST-1D
        ("gru", (1, 40), 10, {}, 5_134),  # published, MNIST-1D
        ("mlp", (1, 40), 10, {}, 15_210),  # published, MNIST-1D
        ("mlp", (1, 40), 10, {"shortcut": True}, 15_210),  # a shortcut has no weights
        ("lstm", (1, 40), 10, {}, 2 * 4 * (6 * 1 + 6 * 6 + 6 + 6) + (2 * 6 * 40) * 10 + 10),
        ("gru", (1, 40), 10, {"head": "last", "directions": 1, "hidden": 4}, 3 * (4 + 16 + 8) + 4 * 10 + 10),
        ("mlp", (1, 3), 2, {"hidden": ()}, 3 * 2 + 2),
        # MLPerf Tiny's autoencoder has 269,992, of them a spare bias and two running statistics for each hidden unit
        ("autoencoder", (640,), 640, {}, 269_992 - 3 * (8 * 128 + 8)),
        ("unet", (1, 16, 16), 3, {}, 29_795),
        ("unet", (1, 4, 4), 2, {"widths": (2, 3)}, 9 * (2 + 4 + 6 + 9 + 10 + 4) + 2 * (2 + 2 + 3 + 3 + 2 + 2) + 2 * 2 + 2),
        ("lightweight_cnn", (1, 28, 28), 10, {}, 1_199_882),  # published, Keras mnist_cnn
        ("resnet8", (3, 32, 32), 10, {}, 78_666 - 480 - 240),  # MLPerf Tiny less running statistics, spare biases
        ("ds_cnn", (1, 49, 10), 12, {"stem_kernel": (10, 4), "stem_stride": 2}, 24_908 - 1_152 - 576),  # likewise
        ("edge_cnn", (1, 28, 28), 10, {}, 9 * (8 + 8 * 16 + 16 * 24 + 24 * 32) + 2 * (8 + 16 + 24 + 32) + 330),
        (
            "edge_cnn",
            (1, 28, 28),
            10,
            {"widths": (8, 16, 16), "strides": (2, 2, 1), "block": "separable", "kernel": 5},
            (25 + 2) * 8 + (9 + 2 + 16) * 8 + 2 * 16 + (9 + 2 + 16) * 16 + 2 * 16 + 170,
        ),
        (
            "edge_cnn",
            (1, 40),
            10,
            {"widths": (8, 8, 16), "strides": (2, 1, 2), "block": "residual", "kernel": 5},
            (5 + 2) * 8 + (3 * 8 + 2) * 8 + (3 * 8 + 2) * 16 + 170,
        ),
        ("mobilenet_v2", (3, 224, 224), 1000, {}, 3_504_872),  # published
        ("mobilenet_v2", (3, 224, 224), 1000, {"width": 0.5}, 1_968_680),  # published
        ("squeezenet", (3, 224, 224), 1000, {}, 1_235_496),  # published
    ],
)
def test_parameter_counts(name, input_shape, n_outputs, shape, count):
    assert n_params(build_model(name, input_shape, n_outputs, **shape)) == count


@pytest.mark.parametrize(
    ("name", "n_entries", "expected"),
    [
        (
            "mobilenet_v2",
            314,
            {
                "features.0.0.weight": (32, 3, 3, 3),
                "features.0.1.running_mean": (32,),
                "features.1.conv.0.0.weight": (32, 1, 3, 3),
                "features.1.conv.1.weight": (16, 32, 1, 1),
                "features.1.conv.2.bias": (16,),
                "features.2.conv.0.0.weight": (96, 16, 1, 1),
                "features.2.conv.1.0.weight": (96, 1, 3, 3),
                "features.2.conv.2.weight": (24, 96, 1, 1),
                "features.2.conv.3.num_batches_tracked": (),
                "features.17.conv.2.weight": (320, 960, 1, 1),
                "features.18.0.weight": (1280, 320, 1, 1),
                "classifier.1.weight": (1000, 1280),
                "classifier.1.bias": (1000,),
            },
        ),
        (
            "squeezenet",
            52,
            {
                "features.0.weight": (64, 3, 3, 3),
                "features.3.squeeze.weight": (16, 64, 1, 1),
                "features.3.expand1x1.weight": (64, 16, 1, 1),
                "features.3.expand3x3.bias": (64,),
                "features.4.squeeze.weight": (16, 128, 1, 1),
                "features.6.squeeze.weight": (32, 128, 1, 1),
                "features.7.expand3x3.weight": (128, 32, 3, 3),
                "features.9.squeeze.weight": (48, 256, 1, 1),
                "features.12.squeeze.weight": (64, 512, 1, 1),
                "features.12.expand3x3.weight": (256, 64, 3, 3),
                "classifier.1.weight": (1000, 512, 1, 1),
                "classifier.1.bias": (1000,),
            },
        ),
    ],
)
def test_state_dict_is_torchvisions_whatever_the_strides(name, n_entries, expected):
    state = build_model(name, (3, 224, 224), 1000).state_dict()
    assert len(state) == n_entries
    assert {key: tuple(state[key].shape) for key in expected} == expected
    build_model(name, (3, 28, 28), 1000).load_state_dict(state)  # strict: raises on any difference


@pytest.mark.parametrize(("name", "input_shape", "n_outputs", "output_shape"), FITS)
def test_forward_gives_the_outputs_of_each_item(name, input_shape, n_outputs, output_shape):
    torch.manual_seed(0)
    model = build_model(name, input_shape, n_outputs).eval()
    x = torch.randn(3, *input_shape)
    with torch.no_grad():
        y = model(x)
        assert y.shape == (3, *output_shape)
        torch.testing.assert_close(model(x[1:2]), y[1:2], rtol=1e-4, atol=1e-5)  # items do not mix


@pytest.mark.parametrize(
    ("name", "input_shape", "shape"),
    [
        ("squeezenet", (1, 31, 31), {"small": False}),
        ("squeezenet", (1, 8, 8), {}),
        ("lightweight_cnn", (1, 6, 6), {}),
        ("conv1d", (1, 3), {}),
        ("ds_cnn", (1, 2, 2), {"stem_kernel": (10, 4)}),
    ],
)
def test_the_smallest_allowed_input_runs(name, input_shape, shape):
    assert build_model(name, input_shape, 2, **shape).eval()(torch.zeros(1, *input_shape)).shape == (1, 2)


@pytest.mark.filterwarnings(WARNING_OF_RNN_EXPORT)
@pytest.mark.parametrize("name", sorted(MODELS))
def test_export_gives_the_same_outputs_and_spec_rebuilds(name):
    input_shape = (1, 8, 8) if name in (*ON_IMAGES, "unet") else (1, 20)
    model = build_model(name, input_shape, 20 if name == "autoencoder" else 5).eval()
    x = torch.randn(2, *input_shape)
    exported = torch.export.export(model, (x,)).module()
    with torch.no_grad():
        torch.testing.assert_close(exported(x), model(x), rtol=1e-4, atol=1e-5)

    again = rebuild(copy.deepcopy(model).spec)
    again.load_state_dict(model.state_dict())
    with torch.no_grad():
        assert torch.equal(again(x), model(x))


def test_spec_is_plain_data_that_survives_weights_only(tmp_path):
    model = build_model("resnet8", (1, 8, 8), 3, widths=(8, 16, 24))
    assert model.spec == {
        "model": "resnet8",
        "input_shape": [1, 8, 8],
        "n_outputs": 3,
        "shape": {"widths": [8, 16, 24]},
        "wrappers": [],
    }
    torch.save(model.spec, tmp_path / "spec.pt")
    assert torch.load(tmp_path / "spec.pt", weights_only=True) == model.spec
    assert (model.stem[0].out_channels, model.linear.in_features) == (8, 24)


@pytest.mark.parametrize("head", ["last", "all"])
@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("name", ["gru", "lstm"])
def test_recurrent_agrees_with_torchs_own_steps(name, directions, head):
    model = build_model(name, (2, 5), 4, hidden=3, directions=directions, head=head, n_layers=2).eval()
    x = torch.randn(6, 2, 5)
    with torch.no_grad():
        steps, _ = model.rnn(x.permute(0, 2, 1))  # (6, 5, directions * 3)
        ends = torch.cat([steps[:, -1, :3], steps[:, 0, 3:]], 1)  # the backward direction ends at the first step
        expected = model.linear(ends if head == "last" else steps.reshape(6, -1))
        torch.testing.assert_close(model(x), expected)


def test_recurrent_reads_an_image_row_by_row():
    model = build_model("gru", (2, 3, 4), 5, hidden=3, directions=1, head="all").eval()
    image = torch.randn(1, 2, 3, 4)
    changed = image.clone()
    changed[:, :, 2] += 1  # the last row only
    with torch.no_grad():
        rows = torch.stack([image[:, :, row].reshape(1, 8) for row in range(3)], 1)  # (1, T = 3, C * W = 8)
        torch.testing.assert_close(model(image), model.linear(model.rnn(rows)[0].reshape(1, -1)))
        assert not torch.equal(model(changed), model(image))


@pytest.mark.parametrize("name", [*ON_IMAGES, "conv1d", "mlp", "autoencoder", "unet"])
def test_runs_after_half_the_channels_are_cut(name):
    tp = pytest.importorskip("torch_pruning")
    input_shape = (1, 40) if name in ("conv1d", "autoencoder") else (1, 28, 28)
    model = build_model(name, input_shape, 40 if name == "autoencoder" else 10).eval()
    before, x = n_params(model), torch.randn(2, *input_shape)
    shape = model(x).shape
    last = [m for m in model.modules() if isinstance(m, (torch.nn.Linear, torch.nn.Conv2d))][-1]
    importance = tp.importance.MagnitudeImportance(p=2)
    tp.pruner.BasePruner(model, x, importance, pruning_ratio=0.5, ignored_layers=[last]).step()
    assert model(x).shape == shape
    assert n_params(model) < 0.6 * before


@pytest.mark.parametrize(
    ("name", "input_shape", "shape", "says"),
    [
        ("resnet9", (1, 8, 8), {}, ("resnet9", "resnet8", "conv1d")),
        ("resnet8", (1, 8, 8), {"width": 8}, ("resnet8", "width", "widths")),
        ("resnet8", (1, 8, 8), {"widths": (8, 16)}, ("resnet8", "widths", "(8, 16)", "3")),
        ("resnet8", (1, 40), {}, ("resnet8", "(1, 40)", "channels, height, width")),
        ("conv1d", (1, 28, 28), {}, ("conv1d", "(1, 28, 28)", "(channels, time)")),
        ("conv1d", (1, 4), {"kernels": (9, 3, 3)}, ("conv1d", "4", "(9, 3, 3)")),
        ("conv1d", (1, 40), {"widths": (25, 25)}, ("conv1d", "kernels", "2")),
        ("lightweight_cnn", (1, 5, 5), {}, ("lightweight_cnn", "(1, 5, 5)", "6 x 6")),
        ("lightweight_cnn", (1, 8, 8), {"hidden": 0}, ("lightweight_cnn", "hidden", "0")),
        ("ds_cnn", (1, 8, 8), {"width": 1.5}, ("ds_cnn", "width", "1.5")),
        ("edge_cnn", (40,), {}, ("edge_cnn", "(40,)", "(channels, height, width), (channels, time)")),
        ("edge_cnn", (1, 6, 6), {}, ("edge_cnn", "(1, 6, 6)", "(2, 1, 2, 1)", "nothing")),
        ("edge_cnn", (1, 6), {}, ("edge_cnn", "(1, 6)", "(2, 1, 2, 1)", "nothing")),
        ("edge_cnn", (1, 8, 8), {"widths": (8, 12), "strides": (1, 1)}, ("edge_cnn", "widths", "[8, 12]", "multiples of 8")),
        ("edge_cnn", (1, 8, 8), {"strides": (1, 1)}, ("edge_cnn", "strides", "(1, 1)", "4 whole numbers")),
        ("edge_cnn", (1, 8, 8), {"block": "fire"}, ("edge_cnn", "'fire'", "plain, residual, separable")),
        ("edge_cnn", (1, 8, 8), {"kernel": 7}, ("edge_cnn", "kernel", "7", "3, 5")),
        ("mobilenet_v2", (1, 8, 8), {"width": "wide"}, ("mobilenet_v2", "width", "'wide'")),
        ("mobilenet_v2", (1, 8, 8), {"small": 1}, ("mobilenet_v2", "small", "1")),
        ("squeezenet", (3, 8, 8), {"small": False}, ("squeezenet", "(3, 8, 8)", "31 x 31")),
        ("squeezenet", (3, 8, 8), {"dropout": 1}, ("squeezenet", "dropout", "[0, 1)")),
        ("gru", (40,), {}, ("gru", "(40,)", "(channels, time)")),
        ("gru", (1, 40), {"head": "first"}, ("gru", "head", "first", "last, all")),
        ("lstm", (1, 40), {"directions": 3}, ("lstm", "directions", "3", "1, 2")),
        ("mlp", (1, 0), {}, ("mlp", "(1, 0)", "above zero")),
        ("autoencoder", (1, 40), {}, ("autoencoder", "10 outputs", "(1, 40)", "40")),
        ("autoencoder", (10,), {"bottleneck": 0}, ("autoencoder", "bottleneck", "0")),
        ("unet", (1, 40), {}, ("unet", "(1, 40)", "channels, height, width")),
        ("unet", (1, 18, 16), {}, ("unet", "(1, 18, 16)", "sides that 4 divides")),
    ],
)
def test_bad_input_is_one_line_that_names_it(name, input_shape, shape, says):
    with pytest.raises(BadInput) as caught:
        build_model(name, input_shape, 10, **shape)
    message = str(caught.value)
    assert "\n" not in message
    assert all(word in message for word in says), message


@pytest.mark.parametrize("block", ["plain", "residual", "separable"])
def test_every_block_of_edge_cnn_runs_and_keeps_multiples_of_8(block):
    net = build_model("edge_cnn", (1, 28, 28), 10, widths=(8, 16, 16), strides=(2, 2, 1), block=block, kernel=5).eval()
    convolutions = [module for module in net.modules() if isinstance(module, torch.nn.Conv2d)]
    assert all(layer.out_channels % 8 == 0 for layer in convolutions)
    assert [tuple(layer.padding) for layer in convolutions if layer.stride == (2, 2)] == [(0, 0), (0, 0)]
    assert net(torch.zeros(2, 1, 28, 28)).shape == (2, 10)


@pytest.mark.parametrize("input_shape", [(1, 28, 28), (1, 40)])
def test_edge_cnn_can_be_traced(input_shape):
    """What equalizing, folding and pruning follow; each convolution but the first has one before it."""
    net = build_model("edge_cnn", input_shape, 10).eval()
    x = torch.randn(2, *input_shape)
    torch.testing.assert_close(torch.fx.symbolic_trace(net)(x), net(x))
    assert len(pairs(net)) == 3


def test_a_residual_block_of_edge_cnn_adds_its_input():
    """With its batch norm at zero the block is ReLU, which changes nothing after a ReLU."""
    shapes = {"widths": (8, 8), "strides": (2, 1), "block": "residual"}
    net, x = build_model("edge_cnn", (1, 9, 9), 3, **shapes).eval(), torch.randn(2, 1, 9, 9)
    torch.nn.init.zeros_(net.features[1].conv[1].weight)
    assert torch.equal(net.features(x), net.features[0](x))


@pytest.mark.parametrize("n_outputs", [0, 2.0, True, "3"])
def test_bad_number_of_outputs(n_outputs):
    with pytest.raises(BadInput, match="n_outputs"):
        build_model("mlp", (1, 4), n_outputs)


def test_a_shortcut_passes_what_its_layer_does_not_change():
    """With the second layer's weights and bias at zero, the net is the one without that layer."""
    torch.manual_seed(0)
    net = build_model("mlp", (1, 40), 10, hidden=(20, 20), shortcut=True).eval()
    net.layers[2].linear.weight.data.zero_(), net.layers[2].linear.bias.data.zero_()
    x = torch.randn(5, 1, 40)
    assert torch.equal(net(x), net.layers[3](net.layers[1](net.layers[0](x.flatten(1)))))
