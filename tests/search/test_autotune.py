"""The search for the best file for a board: what it looks for, resuming, interruption, and one whole chain for real."""

from dataclasses import replace

import pytest
import torch

from edgebook.boards import emulated
from edgebook.devices import device, load_devices
from edgebook.errors import BadInput
from edgebook.models import build_model
from edgebook.runtimes.tflm.load import interpreter_of
from edgebook.search.autotune import Budget, autotune, check_fits
from edgebook.search.chain_trial import Bench, cost_of, describe, quants_of, run_chain
from edgebook.search.fitness import check_searchable, has_searched, new_net, part_of
from edgebook.search.goal import BoardLimits, Goal, board_runtime, board_within, goal_of, limits_of, value_of
from edgebook.search.outcome import read_outcome, trial_lines
from edgebook.search.space import Space
from edgebook.training.loop import seed_all
from edgebook.training.recipe import Recipe

SPACE = Space((1, 40), n_blocks=(0, 2), kinds=("plain", "ds"), widths=(4, 8), kernels=(3,), stem_widths=(4,), stem_kernels=(3,))
GOAL = Goal("nrf52840", "tflm", {"size_bytes": 20_000.0, "arena_bytes": 8_000.0}, None, 0.6, 0.65)
LONG = Budget(minutes=60, n_trials=14)
needs_emulator = pytest.mark.skipif(bool(emulated.missing()), reason=f"C files are not counted here: {emulated.missing()}")


@pytest.fixture(scope="module")
def bench(mnist1d):
    seed_all(0)
    task, recipe = part_of(mnist1d, 400), Recipe(epochs=1, batch_size=50, device="cpu")
    given = build_model("conv1d", task.input_shape, task.n_outputs, widths=[8, 8, 8]).eval()
    return Bench(task, given, given, SPACE, recipe, recipe, GOAL)


def toy(settings, bench, report, file):
    """Figures that follow from the settings: more layers score better and are larger; int16x8 never fits."""
    n = 1 + sum(settings.get(f"{number}.kind", "none") != "none" for number in (1, 2))
    figures = {"size_bytes": 2_000.0 * n, "arena_bytes": 9_000.0 if settings["numbers"] == "int16x8" else 1_000.0 * n}
    if figures["arena_bytes"] > 8_000:
        return figures, None
    report(0.1 * n)
    return figures | {"val_score": 0.3 + 0.15 * n + 0.01 * settings["soft_weight"]}, f"net-{n}"


def trials(folder):
    return [{name: value for name, value in line.items() if name != "seconds"} for line in trial_lines(folder)]


@pytest.fixture(scope="module")
def straight(bench, tmp_path_factory):
    folder = tmp_path_factory.mktemp("straight")
    return autotune(bench, folder, LONG, seed=3, run=toy), folder


def test_values_are_in_the_order_of_what_is_wanted():
    wanted = [
        {"size_bytes": 5_000, "arena_bytes": 1_000, "val_score": 0.61},
        {"size_bytes": 9_000, "arena_bytes": 1_000, "val_score": 0.70},
        {"size_bytes": 5_000, "arena_bytes": 1_000, "val_score": 0.59},
        {"size_bytes": 5_000, "arena_bytes": 1_000, "val_score": 0.20},
        {"size_bytes": 5_000, "arena_bytes": 8_800},
        {"size_bytes": 40_000, "arena_bytes": 8_800},
    ]
    values = [value_of(figures, GOAL) for figures in wanted]
    assert values == sorted(values, reverse=True)
    assert [value > 0 for value in values] == [True, True, False, False, False, False]
    assert values[4] == pytest.approx(-1.1)
    assert values[5] == pytest.approx(-2.1)


def test_the_goal_of_a_board():
    limits = limits_of(board_within(device("nrf52840"), flash_bytes=32_000, ram_bytes=8_000))
    goal = goal_of(limits, baseline_score=0.9, max_loss=0.01)
    assert (goal.runtime, goal.limits) == ("tflm", {"size_bytes": 32_000.0, "arena_bytes": 8_000.0})
    assert goal.least_score == pytest.approx(0.89)
    assert Goal(**goal.as_plain()) == goal
    timed = limits_of(board_within(device("corstone-300-u55-128"), latency_ms=2.0))
    assert (timed.runtime, timed.limits["latency_ms_est"]) == ("vela", 2.0)
    with pytest.raises(BadInput, match="ram_bytes = 1e\\+06; allowed: at most the 262144 of nrf52840"):
        board_within(device("nrf52840"), ram_bytes=1e6)
    with pytest.raises(BadInput, match="nothing estimates the latency"):
        board_within(device("nrf52840"), latency_ms=2.0)


@needs_emulator
@pytest.mark.parametrize("board", load_devices().values(), ids=lambda board: board.name)
def test_no_limit_of_a_board_is_dropped(board):
    """The RAM is a limit where a figure of it is known before a file runs; where none is, a limit that is given is refused."""
    small = {"flash_bytes": board.flash_bytes / 2, "ram_bytes": board.ram_bytes / 2}
    name = board_runtime(board)
    if name in ("onnx", "litert", "executorch"):
        assert limits_of(board_within(board, flash_bytes=small["flash_bytes"])).limits == {"size_bytes": small["flash_bytes"]}
        with pytest.raises(BadInput, match=f"{name} on {board.name} plans no memory"):
            board_within(board, **small)
        return
    assert list(limits_of(board_within(board, **small)).limits.values())[:2] == list(small.values())


@needs_emulator
@pytest.mark.parametrize("name", ["stm32f103c8", "stm32l031k6", "stm32l021k4"])
def test_the_cost_on_a_board_for_c_files_is_that_of_its_core(name, bench):
    limits = limits_of(device(name))
    goal = goal_of(limits, baseline_score=0.65, max_loss=0.05)
    genotype = next(iter(SPACE.small_members()))
    settings = {"network": "searched", **SPACE.encode(genotype), "numbers": "int8", "soft_weight": 0.0}
    cost = cost_of(new_net(bench.task, genotype), settings, replace(bench, goal=goal))
    assert 100 < cost["size_bytes"] < cost["flash_bytes"] < 16_384
    assert 40 < cost["ram_bytes"] < 2_048
    check_fits(bench.task, SPACE, limits)
    with pytest.raises(BadInput, match="meets the budget; nearest: ram_bytes = "):
        check_fits(bench.task, SPACE, limits_of(board_within(device(name), ram_bytes=30)))


def test_a_board_whose_files_cannot_be_counted_is_refused(monkeypatch):
    monkeypatch.setattr("edgebook.boards.emulated.missing", lambda: "arm-none-eabi-gcc is not installed")
    with pytest.raises(BadInput, match="board stm32f103c8: its files are counted on an emulated cortex-m3: arm-none-eabi-gcc"):
        limits_of(device("stm32f103c8"))


@pytest.mark.parametrize(
    ("kind", "input_shape", "n_outputs", "is_searched"),
    [
        ("classification", (1, 8, 8), 10, True),
        ("classification", (1, 40), 10, True),
        ("classification", (13,), 3, False),
        ("regression", (1, 40), 2, True),
        ("segmentation", (1, 8, 8), 3, False),
        ("anomaly", (1, 40), 40, False),
        ("anomaly", (16,), 16, False),
    ],
)
def test_the_kinds_of_task_that_searched_networks_suit(kind, input_shape, n_outputs, is_searched, digits):
    named = {"kind_name": kind, "x_train": torch.zeros(2, *input_shape), "class_names": tuple(map(str, range(n_outputs)))}
    task = replace(digits, **named, y_train=torch.zeros(2, n_outputs) if kind == "regression" else digits.y_train)
    space = Space(input_shape)
    assert has_searched(task, space) is is_searched
    if is_searched:
        return check_searchable(task, space)
    with pytest.raises(BadInput, match=f"{kind} of items"):
        check_searchable(task, space)


def test_the_smallest_file_that_keeps_the_score_is_the_best(straight):
    found, folder = straight
    assert sum(found.counts.values()) == 14
    assert found.is_met
    assert found.best.figures["val_score"] >= 0.6 > 0.3 + 0.15
    keeping = [line for line in trials(folder) if line.get("val_score", 0) >= 0.6]
    smallest = min(line["size_bytes"] for line in keeping)
    assert found.best.figures["size_bytes"] == smallest
    assert found.best.figures["val_score"] == max(line["val_score"] for line in keeping if line["size_bytes"] == smallest)
    sizes = [tuned.figures["size_bytes"] for tuned in found.front]
    assert sizes == sorted(set(sizes))
    assert "lose at most 0.05" in found.text
    assert set(found.importance) == {"numbers", "soft_weight", "network"}


def test_one_standard_error_decides_as_in_the_report(bench, tmp_path):
    """A file that lacks less than the standard error of its difference to the baseline keeps the score."""

    def uncertain(settings, *rest):
        figures, key = toy(settings, *rest)
        return figures | ({"val_error": 0.02} if key else {}), key

    near = replace(bench, goal=replace(GOAL, least_score=0.61 + 0.15))
    assert not autotune(near, tmp_path / "sure", LONG, seed=3, run=toy).is_met
    found = autotune(near, tmp_path / "unsure", LONG, seed=3, run=uncertain)
    assert found.is_met
    assert "within one standard error" in found.text
    assert value_of(found.best.figures, near.goal) > 0


def test_a_search_that_is_interrupted_shows_the_best_so_far_and_has_the_trials_of_one_that_ran_through(straight, bench, tmp_path):
    calls = []

    def interrupted(*arguments):
        calls.append(arguments)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return toy(*arguments)

    found = autotune(bench, tmp_path, LONG, seed=3, run=interrupted)
    assert sum(found.counts.values()) == 4
    assert found.best is not None
    assert read_outcome(tmp_path).best == found.best
    autotune(bench, tmp_path, LONG, seed=3, run=toy)
    plain = [{name: value for name, value in line.items() if name != "trial"} for line in trials(tmp_path)]
    assert plain == [{name: value for name, value in line.items() if name != "trial"} for line in trials(straight[1])]


def test_the_file_stop_ends_the_search_after_the_trial_that_is_running(bench, tmp_path):
    stop = tmp_path / "stop"

    def stopping(*arguments):
        stop.touch()
        return toy(*arguments)

    found = autotune(bench, tmp_path / "study", LONG, stop=stop, run=stopping)
    assert sum(found.counts.values()) == 1
    assert found.best.number == 0


def test_rows_of_a_table_have_no_searched_network(bench, tmp_path):
    table = replace(bench, space=Space((13,)))
    autotune(table, tmp_path, Budget(1, 4), run=toy)
    assert [line["network"] for line in trials(tmp_path)] == ["pruned"] * 4


def test_a_task_that_no_searched_network_suits_has_the_given_one(bench, tmp_path):
    x = torch.zeros(2, 1, 8, 8)
    maps = replace(bench.task, kind_name="segmentation", x_train=x, y_train=torch.zeros(2, 8, 8, dtype=torch.long))
    segmenting = replace(bench, task=maps, space=Space((1, 8, 8)))
    check_fits(maps, segmenting.space, GOAL)
    autotune(segmenting, tmp_path, Budget(1, 4), run=toy)
    assert [line["network"] for line in trials(tmp_path)] == ["pruned"] * 4


def test_what_binds_is_said_where_the_goal_is_not_met(bench, tmp_path):
    hard = replace(bench, goal=replace(GOAL, least_score=0.9))
    found = autotune(hard, tmp_path, LONG, seed=3, run=toy)
    assert not found.is_met
    assert found.best.figures["val_score"] == max(line.get("val_score", 0) for line in trials(tmp_path))
    lacking = 0.9 - found.best.figures["val_score"]
    assert f"the score binds: {lacking:.4g} less than the goal of 0.9000" in found.text
    if "does not fit, not trained" in found.counts:
        assert "by RAM (12% too much at least)" in found.text


def test_bad_input(bench, tmp_path):
    for minutes in (0, -1.0):
        with pytest.raises(BadInput, match="allowed: a number above zero"):
            Budget(minutes)
    with pytest.raises(BadInput, match="meets the budget; nearest: size_bytes = "):
        check_fits(bench.task, SPACE, BoardLimits("nrf52840", "tflm", {"size_bytes": 100.0, "arena_bytes": 8_000.0}))
    autotune(bench, tmp_path / "study", Budget(1, 1), run=toy)
    with pytest.raises(BadInput, match="study autotune has goal"):
        autotune(replace(bench, goal=replace(GOAL, least_score=0.5)), tmp_path / "study", LONG, run=toy)
    with pytest.raises(BadInput, match="there is no study"):
        read_outcome(tmp_path / "nowhere")


def test_a_whole_chain_leaves_a_file_that_fits(bench, tmp_path):
    line = next(iter(replace(SPACE, n_blocks=(1, 1)).small_members()))
    settings = {"network": "searched", **SPACE.encode(line), "numbers": "int8, QAT", "soft_weight": 0.7}
    reported = []
    figures, key = run_chain(settings, bench, reported.append, tmp_path / "7")
    file = tmp_path / "7.tflite"
    assert file.stat().st_size == figures["size_bytes"] < 20_000
    assert 500 < figures["arena_bytes"] < 8_000
    assert 0 < figures["val_score"] < 1
    assert key
    assert len(reported) == 1
    assert list(interpreter_of(file).get_input_details(0)["shape"]) == [1, 1, 40]
    assert describe(settings, SPACE) == f"{line}, taught, int8, QAT"
    assert quants_of(settings) == [None]
    small = replace(bench, goal=replace(GOAL, limits={"size_bytes": 20_000.0, "arena_bytes": 400.0}))
    figures, key = run_chain(settings, small, lambda score: pytest.fail("it was trained"), tmp_path / "8")
    assert key is None
    assert "val_score" not in figures
