"""Distillation: losses by hand, what reaches which network, cached outputs, bad input."""

import copy
import dataclasses
import math

import pytest
import torch

from edgebook.compress.distill.features import distill_features, recorded
from edgebook.compress.distill.losses import attention_loss, decoupled_loss, hint_loss
from edgebook.compress.distill.outputs import distill
from edgebook.errors import BadInput, Unsupported
from edgebook.models import build_model
from edgebook.tasks.kinds import KINDS
from edgebook.training.finetune import finetune
from edgebook.training.loop import evaluate, infer, train
from edgebook.training.recipe import Recipe
from edgebook.training.store import weights_hash
from edgebook.training.teacher import prepare_teacher, teacher_outputs, teacher_score

RECIPE = Recipe(1, 500, lr=0.003)
LAYERS = {"features.2": "features.2"}


@pytest.fixture(scope="module")
def student(mnist1d):
    torch.manual_seed(0)
    return build_model("conv1d", mnist1d.input_shape, 10, widths=(8, 8, 8))


def test_the_soft_loss_is_zero_for_equal_outputs_and_follows_torch(mnist1d):
    soft_loss = mnist1d.kind.soft_loss
    a, b = torch.randn(6, 10), torch.randn(6, 10)
    assert soft_loss(a, a, 3.0).abs() < 1e-6
    expected = torch.nn.KLDivLoss(reduction="batchmean")((a / 3).log_softmax(1), (b / 3).softmax(1)) * 9
    assert soft_loss(a, b, 3.0).item() == pytest.approx(expected.item(), rel=1e-5)


def test_distilling_without_the_teacher_is_plain_training(net, mnist1d):
    student = build_model("conv1d", mnist1d.input_shape, 10, widths=(6, 6, 6))
    before = weights_hash(net)
    alone = train(student, mnist1d, Recipe(1))
    taught = distill(student, mnist1d, Recipe(1), teacher=net, soft_weight=0.0)
    assert weights_hash(alone) == weights_hash(taught)
    assert weights_hash(net) == before


def test_the_teacher_is_learned_from(net, mnist1d):
    student = build_model("conv1d", mnist1d.input_shape, 10, widths=(12, 12, 12))
    taught = distill(student, mnist1d, Recipe(6, 100), teacher=net, temperature=2.0, soft_weight=1.0)
    predictions, teachers = infer(taught, mnist1d.x_val).argmax(1), infer(net, mnist1d.x_val).argmax(1)
    assert (predictions == teachers).float().mean() > 0.5
    with pytest.raises(BadInput, match="temperature = 0; allowed: > 0"):
        distill(student, mnist1d, Recipe(1), teacher=net, temperature=0)


def test_a_teacher_alone_needs_no_labels(net, mnist1d):
    """With soft_weight 1 fine-tuning goes by the teacher's outputs: shuffled labels change nothing."""
    wrong = dataclasses.replace(mnist1d, y_train=mnist1d.y_train.flip(0))
    recipe, tasks = Recipe(1, 500), (mnist1d, wrong)
    tuned = [finetune(net, task, recipe, teacher=net, soft_weight=1.0, keep="last") for task in tasks]
    assert weights_hash(tuned[0]) == weights_hash(tuned[1])
    plain = [finetune(net, task, recipe, keep="last") for task in tasks]
    assert weights_hash(plain[0]) != weights_hash(plain[1])
    with pytest.raises(BadInput, match=r"soft_weight = 0\.5 needs a teacher"):
        finetune(net, mnist1d, recipe, soft_weight=0.5)
    with pytest.raises(BadInput, match=r"soft_weight = 2\.0; allowed: 0 to 1"):
        finetune(net, mnist1d, recipe, teacher=net, soft_weight=2.0)


def by_hand(student, teacher, label):
    """KL of the label's share, and KL among the others, of one item's shares."""

    def kl(q, p):
        return sum(b * math.log(b / a) for a, b in zip(q, p))

    rest = [index for index in range(len(student)) if index != label]
    target = kl((student[label], 1 - student[label]), (teacher[label], 1 - teacher[label]))
    scaled = ([shares[index] / (1 - shares[label]) for index in rest] for shares in (student, teacher))
    return target, kl(*scaled)


def test_the_decoupled_loss_is_the_one_of_the_paper_on_two_items():
    student, teacher = [[0.2, 0.3, 0.5], [0.6, 0.3, 0.1]], [[0.1, 0.1, 0.8], [0.5, 0.25, 0.25]]
    labels = [2, 0]
    parts = [by_hand(*shares) for shares in zip(student, teacher, labels)]
    logits = (torch.tensor(shares).log() * 2 for shares in (student, teacher))  # at temperature 2 these are the shares
    loss = decoupled_loss(KINDS["classification"], 2.0, 3.0)(*logits, torch.tensor(labels))
    assert loss.item() == pytest.approx(4 * sum(target + 3 * others for target, others in parts) / 2, rel=1e-5)


def test_hintons_loss_weighs_the_other_classes_by_what_the_label_leaves(mnist1d):
    """KL(p || q) = target part + (1 - p_t) * part among the others, for every item."""
    torch.manual_seed(0)
    outputs, targets, y = torch.randn(1, 10), torch.randn(1, 10), torch.tensor([3])
    left = 1 - (targets / 2).softmax(1)[0, 3].item()
    whole = mnist1d.kind.soft_loss(outputs, targets, 2.0)
    torch.testing.assert_close(decoupled_loss(mnist1d.kind, 2.0, left)(outputs, targets, y), whole)
    assert decoupled_loss(mnist1d.kind, 2.0, 8.0)(targets, targets, y).abs() < 1e-6


def test_the_decoupled_loss_of_pixels_is_the_mean_over_them():
    torch.manual_seed(0)
    outputs, targets, y = torch.randn(2, 3, 4, 4), torch.randn(2, 3, 4, 4), torch.randint(0, 3, (2, 4, 4))
    per_item = [tensor.movedim(1, -1).reshape(-1, 3) for tensor in (outputs, targets)]
    expected = decoupled_loss(KINDS["classification"], 4.0, 2.0)(*per_item, y.reshape(-1))
    torch.testing.assert_close(decoupled_loss(KINDS["segmentation"], 4.0, 2.0)(outputs, targets, y), expected)


def test_hints_and_attention_by_hand_on_two_items():
    student = torch.tensor([[[1.0, 2.0]], [[0.0, 3.0]]])  # (2 items, 1 channel, 2 places)
    teacher = torch.tensor([[[2.0, 2.0]], [[0.0, 1.0]]])
    assert hint_loss(student, teacher).item() == pytest.approx((1 + 0 + 0 + 4) / 4)
    # maps: squares scaled to length 1
    first = (1 / math.sqrt(17) - 1 / math.sqrt(2)) ** 2 + (4 / math.sqrt(17) - 1 / math.sqrt(2)) ** 2
    assert attention_loss(student, teacher).item() == pytest.approx((first + 0) / 2)
    assert attention_loss(student, 5 * student).item() == pytest.approx(0, abs=1e-12)  # what counts is where, not how much


def test_maps_of_different_size_are_averaged_to_the_smaller():
    coarse, fine = torch.tensor([[[1.0, 4.0]]]), torch.tensor([[[0.0, 2.0, 3.0, 5.0]]])
    assert hint_loss(coarse, fine).item() == hint_loss(fine, coarse).item() == 0


@pytest.mark.parametrize("how", [{}, {"nontarget_weight": 8.0}])
def test_no_gradient_reaches_the_teacher(net, student, mnist1d, how):
    teacher, before = copy.deepcopy(net), weights_hash(net)
    teacher.zero_grad(set_to_none=True)
    distill(student, mnist1d, RECIPE, teacher=teacher, **how)
    distill_features(student, mnist1d, RECIPE, teacher=teacher, layers=LAYERS, hint_weight=1.0, attention_weight=1.0)
    assert weights_hash(teacher) == before
    assert all(parameter.grad is None for parameter in teacher.parameters())


def test_cached_outputs_train_as_the_teacher_itself_does(net, student, mnist1d):
    outputs = teacher_outputs(net, mnist1d)
    torch.testing.assert_close(outputs, infer(net, mnist1d.x_train))
    by_network, by_outputs = (distill(student, mnist1d, RECIPE, teacher=teacher) for teacher in (net, outputs))
    assert weights_hash(by_network) == weights_hash(by_outputs)


def test_several_teachers_are_their_mean(net, student, mnist1d):
    torch.testing.assert_close(teacher_outputs([net, net], mnist1d), infer(net, mnist1d.x_train))
    pair = [net, train(net, mnist1d, RECIPE)]
    mean = torch.stack([infer(network, mnist1d.x_train) for network in pair]).mean(0)
    torch.testing.assert_close(teacher_outputs(pair, mnist1d), mean)
    recipe = dataclasses.replace(RECIPE, augment=True)  # then both see every changed item
    trained = [distill(student, mnist1d, recipe, teacher=teacher, soft_weight=1.0) for teacher in (pair, pair[::-1], net)]
    a, b, other = (infer(network, mnist1d.x_val) for network in trained)
    torch.testing.assert_close(a, b, atol=1e-3, rtol=1e-3)
    assert not torch.allclose(a, other, atol=1e-3, rtol=1e-3)


def test_a_teacher_is_prepared_for_its_recipe_and_scored_as_a_whole(net, mnist1d):
    augmented = dataclasses.replace(RECIPE, augment=True)
    assert torch.equal(prepare_teacher(net, mnist1d, RECIPE), teacher_outputs(net, mnist1d))
    assert prepare_teacher([net], mnist1d, augmented) == [net]
    without = dataclasses.replace(mnist1d, augment=None)
    assert isinstance(prepare_teacher(net, without, augmented), torch.Tensor)
    assert teacher_score([net, net], mnist1d) == teacher_score(net, mnist1d) == evaluate(net, mnist1d)


def test_the_loss_of_a_batch_is_the_same_with_outputs_beside_the_labels(net, student, mnist1d):
    """One step of SGD over all items, with the teacher asked in the step (identity as augmentation) or before."""
    recipe = Recipe(1, len(mnist1d.x_train), optimizer="sgd", augment=True)
    live = dataclasses.replace(mnist1d, augment=lambda x, generator: x)
    still = dataclasses.replace(mnist1d, augment=None)
    trained = [distill(student, task, recipe, teacher=net, soft_weight=0.4) for task in (live, still)]
    for a, b in zip(*(network.parameters() for network in trained), strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)


def test_a_student_of_another_family_is_taught(net, mnist1d):
    torch.manual_seed(0)
    gru = build_model("gru", mnist1d.input_shape, 10, hidden=8, directions=1, head="last")
    taught = distill(gru, mnist1d, Recipe(1, 100), teacher=net, soft_weight=1.0)
    soft = [mnist1d.kind.soft_loss(infer(model, mnist1d.x_val), infer(net, mnist1d.x_val), 4.0) for model in (gru, taught)]
    assert soft[1] < soft[0]
    assert infer(distill(net, mnist1d, RECIPE, teacher=taught), mnist1d.x_val).shape == (len(mnist1d.x_val), 10)


@pytest.mark.parametrize("weight", ["hint_weight", "attention_weight"])
def test_features_come_nearer_to_the_teachers(net, student, mnist1d, weight):
    """Against the same training without: what is measured is the loss itself, so attention needs no projection."""
    trained = distill_features(student, mnist1d, Recipe(4, 200), teacher=net, layers=LAYERS, **{weight: 20.0})
    plain = distill_features(student, mnist1d, Recipe(4, 200), teacher=net, layers=LAYERS)
    assert [type(module) for module in trained.modules()] == [type(module) for module in student.modules()]
    distances = []
    for network in (trained, plain):
        with torch.no_grad(), recorded(network, LAYERS) as own, recorded(net, LAYERS.values()) as others:
            network(mnist1d.x_val), net.eval()(mnist1d.x_val)
        a, b = own["features.2"], others["features.2"]
        flat, wanted = (features.movedim(1, -1).reshape(-1, features.shape[1]) for features in (a, b))
        ones = torch.ones(len(flat), 1)  # the best projection of these features, by least squares
        fitted = torch.cat([flat, ones], 1) @ torch.linalg.lstsq(torch.cat([flat, ones], 1), wanted).solution
        distances.append({"hint_weight": (fitted - wanted).square().mean(), "attention_weight": attention_loss(a, b)}[weight])
    assert distances[0] < distances[1]


def test_features_without_weight_are_plain_training(net, student, mnist1d):
    trained = distill_features(student, mnist1d, RECIPE, teacher=net, layers=LAYERS)
    plain = train(student, mnist1d, RECIPE)
    torch.testing.assert_close(infer(trained, mnist1d.x_val), infer(plain, mnist1d.x_val))
    assert len(trained.history) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"temperature": 0.0, "soft_weight": 0.0}, r"temperature = 0\.0; allowed: > 0"),
        ({"temperature": 0.0}, r"temperature = 0\.0; allowed: > 0"),
        ({"temperature": -1.0, "nontarget_weight": 1.0}, r"temperature = -1\.0; allowed: > 0"),
        ({"nontarget_weight": -1.0}, r"nontarget_weight = -1\.0; allowed: 0 or more"),
        ({"soft_weight": 1.5}, r"soft_weight = 1\.5; allowed: 0 to 1"),
        ({"teacher": []}, r"teacher = \[\]; allowed: at least one network"),
        ({"teacher": torch.zeros(5, 10)}, r"outputs of 5 items; allowed: of the \d+ training items"),
    ],
)
def test_arguments_that_cannot_work(net, student, mnist1d, arguments, message):
    with pytest.raises(BadInput, match=message) as caught:
        distill(student, mnist1d, RECIPE, **{"teacher": net, **arguments})
    assert "\n" not in str(caught.value)


def test_a_teacher_for_something_else_is_one_line(net, student, mnist1d, digits):
    for_fewer = build_model("conv1d", mnist1d.input_shape, 4)
    with pytest.raises(BadInput, match=r"teacher: outputs of shape \(4,\); allowed: \(10,\), as the student's"):
        distill(student, mnist1d, RECIPE, teacher=for_fewer)
    of_images = build_model("resnet8", digits.input_shape, 10)
    with pytest.raises(BadInput, match=r"teacher: it does not take items of shape \(1, 40\): ") as caught:
        distill(student, mnist1d, RECIPE, teacher=of_images)
    assert "\n" not in str(caught.value)
    for teach in (
        lambda: distill(student, mnist1d, RECIPE, teacher=[net, for_fewer]),
        lambda: teacher_outputs([net, for_fewer], mnist1d),
    ):
        with pytest.raises(BadInput, match=r"teacher: networks with outputs of shapes \(10,\), \(4,\); allowed: all the same"):
            teach()
    with pytest.raises(BadInput, match="outputs of the items as they are; allowed with augment: true is a network"):
        distill(student, mnist1d, dataclasses.replace(RECIPE, augment=True), teacher=teacher_outputs(net, mnist1d))


@pytest.mark.parametrize(
    ("layers", "more", "message"),
    [
        ({}, {}, r"layers = \{\}; allowed: at least one"),
        ({"features.9": "features.2"}, {}, r"student has no layer 'features\.9'; it has: features, features\.0, .*linear"),
        ({"features.2": "stem"}, {}, r"teacher has no layer 'stem'; it has: features, features\.0, .*linear"),
        ({"features.2": "linear"}, {}, r"features of shape \(8, 10\) and \(10,\); allowed: equally many dimensions"),
        ({"linear": "linear"}, {"attention_weight": 1.0}, r"'linear' gives one number per channel; allowed with attention"),
        ({"features.2": "features.2"}, {"hint_weight": -1.0}, r"hint_weight = -1\.0; allowed: 0 or more"),
    ],
)
def test_layers_that_cannot_be_compared(net, student, mnist1d, layers, more, message):
    with pytest.raises(BadInput, match=message) as caught:
        distill_features(student, mnist1d, RECIPE, teacher=net, layers=layers, **more)
    assert "\n" not in str(caught.value)


def test_a_recurrent_layer_gives_no_feature_map(mnist1d):
    gru = build_model("gru", mnist1d.input_shape, 10, hidden=8)
    with pytest.raises(BadInput, match=r"'rnn' of the student gives no features"):
        distill_features(gru, mnist1d, RECIPE, teacher=gru, layers={"rnn": "rnn"}, hint_weight=1.0)


def test_classes_apart_need_classes():
    with pytest.raises(Unsupported, match="decoupled distillation needs classes; regression has none") as caught:
        decoupled_loss(KINDS["regression"], 4.0, 8.0)
    assert caught.value.code == "structure"
