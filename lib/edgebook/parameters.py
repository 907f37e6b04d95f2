"""Every parameter of every notebook, once: name -> type, range, choices, unit, meaning. A name means the same everywhere."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from edgebook.errors import BadInput
from edgebook.naming import is_package, is_path
from edgebook.parameter_types import (
    BASELINE_RECIPE,
    RECIPE,
    SEARCH_SPACE,
    Algorithm,
    Bits,
    Count,
    Names,
    Natural,
    NotNegative,
    OpenRatio,
    Positive,
    Ratio,
    RunName,
    Share,
    SshUrl,
    check_type,
    several,
)
from edgebook.paths import NOTEBOOKS
from edgebook.registry import resolve


@dataclass(frozen=True)
class Param:
    """One line of the reference.

    type: what pydantic checks, or a table of fields, each with its type. choices: the table whose names are allowed, as
    "module:TABLE", imported only when a value is checked. takes_path: a file may be given instead of a name.
    """

    type: Any
    meaning: str
    unit: str = ""
    choices: str | None = None
    takes_path: bool = False

    @property
    def merges(self) -> bool:
        """Whether later layers (preset, command line) replace fields one by one, not the whole value."""
        return isinstance(self.type, dict)

    def names(self) -> list[str]:
        """The allowed names, sorted."""
        return sorted(resolve(self.choices)) if self.choices else []


MODELS = "edgebook.models:MODELS"
RUNTIMES = "edgebook.runtimes.base:RUNTIMES"

PARAMS: dict[str, Param] = {
    "run": Param(RunName, "name of the run: the folder under reports/"),
    "task": Param(str, "data set, or a path to your own or its description", choices="edgebook.tasks:TASKS", takes_path=True),
    "model": Param(str, "architecture, or path/to/file.py:name, package.module:name, net.pt2", choices=MODELS, takes_path=True),
    "model_shape": Param(dict[str, Any], "arguments of the model's builder"),
    "seed": Param(Natural, "seed of training and of every random choice"),
    "corruptions": Param(Names, "what happens to test items", choices="edgebook.tasks.corruptions:CHOICES"),
    "n_corrupted": Param(Count, "test items that are corrupted", "items"),
    "tolerance": Param(Positive, "largest difference between a formula and PyTorch's result"),
    "grid_values": Param(dict[str, Any], "what a preset's grid has set for this execution; part of its name"),
    "device": Param(Literal["auto", "cpu", "cuda", "mps"], "where training runs"),
    "train_threads": Param(Count, "threads of training", "cores"),
    "threads": Param(Count, "threads of the runtimes", "cores"),
    "runtimes": Param(Names, "runtimes that files are made for", choices=RUNTIMES),
    "cores": Param(Names, "microcontroller cores that C files are counted on", choices="edgebook.boards.emulated:CORES"),
    "ssh_devices": Param(list[SshUrl], "machines that run the files too: ssh://user@host:port/path/of/python"),
    "batch_sizes": Param(list[Count], "items per call, one file for each size; the first is compared with", "items"),
    "measure_s": Param(NotNegative, "time spent timing a file; 0: files are scored, not timed", "s"),
    "baseline_recipe": Param(BASELINE_RECIPE, "how the baseline is trained"),
    "finetune_recipe": Param(RECIPE, "fine-tuning after compression; other fields as the baseline's"),
    "distill_recipe": Param(RECIPE, "the student's training, distilled and alone; other fields as the baseline's"),
    "teacher_recipe": Param(RECIPE, "how the larger teacher is trained; other fields as the baseline's"),
    "proxy_recipe": Param(RECIPE, "the short training that a search judges by; other fields as the baseline's"),
    "qat_recipe": Param(RECIPE, "training with rounding in the loop; other fields as the baseline's"),
    "importances": Param(Names, "how channels are ranked for removal", choices="edgebook.compress.prune:IMPORTANCES"),
    "pruning_ratios": Param(list[Ratio], "share of every layer's channels to remove"),
    "scope": Param(Literal["uniform", "global", "isomorphic"], "channels ranked per layer, over all, or over similar layers"),
    "macs_ratios": Param(list[Ratio], "share of the multiply-accumulates to remove"),
    "n_steps": Param(Count, "pruning steps, with fine-tuning after each"),
    "scan_ratios": Param(several(Ratio), "share of one layer's channels removed at a time"),
    "latency_ratios": Param(list[OpenRatio], "share of the baseline's latency that latency-aware pruning may leave"),
    "latency_runtime": Param(str, "runtime whose latency is reduced", choices=RUNTIMES),
    "latency_cost": Param(str, "what latency-aware pruning keeps low per time saved", choices="edgebook.compress.prune:COSTS"),
    "latency_tune_items": Param(Natural, "items that a candidate is trained on before it is judged; 0: none", "items"),
    "equal_latency_scopes": Param(
        list[Literal["uniform", "global"]], "controls of latency-aware pruning at equal latency: per layer, or one ranking"
    ),
    "hidden_ratios": Param(several(Ratio), "share of the hidden units to remove"),
    "hidden_importances": Param(
        Names, "how hidden units are ranked for removal", choices="edgebook.compress.prune:HIDDEN_IMPORTANCES"
    ),
    "regularizers": Param(list[str], "sparse learning before pruning", choices="edgebook.compress.prune:REGULARIZERS"),
    "reg": Param(Positive, "strength of sparse learning, added to the gradients"),
    "sparsities": Param(several(Ratio), "share of the weights set to zero, rising"),
    "sparsity_scope": Param(Literal["global", "layer"], "weights ranked over the whole network, or in every layer"),
    "lottery_scope": Param(Literal["global", "layer"], "the same for lottery tickets"),
    "sparsity_initial": Param(Ratio, "sparsity at which the cubic schedule begins"),
    "sparsity_begin": Param(Share, "share of the training steps after which the cubic schedule begins"),
    "sparsity_end": Param(Share, "share of the training steps after which it has reached its final sparsity"),
    "sparsity_frequency": Param(Count, "steps between two rises of the sparsity", "steps"),
    "n_of_m": Param(list[str], "patterns such as 2:4: the n largest of every m consecutive weights stay"),
    "keep_dense": Param(list[str], "layers that N:M patterns leave alone"),
    "l1_weights": Param(list[Positive], "weight of the sum of all absolute weights in the loss"),
    "l1_threshold": Param(Positive, "weights smaller than this are set to zero after training with L1"),
    "round_to": Param(Literal[1, 4, 8, 16], "channel counts are multiples of this", "channels"),
    "finetune_soft_weight": Param(Share, "weight of the float baseline's outputs in the fine-tuning loss; labels get the rest"),
    "torch_pruning_control": Param(bool, "also prune to the same MACs with Torch-Pruning's defaults, as the control"),
    "scratch_ratios": Param(list[Ratio], "ratios whose pruned shape is also trained from scratch, as the control"),
    "precisions": Param(Names, "number formats of the files", choices="edgebook.vocabulary:PRECISIONS"),
    "granularities": Param(several(Literal["channel", "tensor"]), "one weight scale per channel, or per layer"),
    "algorithms": Param(several(Algorithm), "how the ranges of static integers are chosen"),
    "n_calibration": Param(Count, "training items that set the ranges of static integers", "items"),
    "symmetric": Param(bool, "static integers: weights have zero point 0"),
    "reduce_range": Param(bool, "static integers: weights use 7 bits, for x86 without VNNI"),
    "per_layer": Param(
        dict[str, str],
        "static integers: pattern of layer names -> another number format",
        choices="edgebook.vocabulary:PRECISIONS",
    ),
    "calibration_sizes": Param(list[Count], "sizes of the calibration probes", "items"),
    "calibration_seeds": Param(several(Natural), "random draws of the calibration probes"),
    "repairs": Param(
        list[str],
        "what is done to the float network before it gets one scale per layer",
        choices="edgebook.compress.quantize:REPAIRS",
    ),
    "macs_ratio": Param(Ratio, "share of the multiply-accumulates to remove"),
    "rounding_share": Param(OpenRatio, "share of the training steps that are done with rounding in the loop"),
    "training_seeds": Param(several(Natural), "seeds of each training: the first is the version, the others are controls"),
    "teacher_shape": Param(dict[str, Any], "arguments of the builder that make the baseline's architecture a larger teacher"),
    "teacher_seeds": Param(list[Natural], "seeds of the larger teacher, one network each; their mean outputs count"),
    "student": Param(str, "architecture of the student, or path/to/file.py:function", choices=MODELS, takes_path=True),
    "student_shape": Param(dict[str, Any], "arguments of the student's builder"),
    "student_shapes": Param(several(dict[str, Any]), "arguments of the student's builder, one mapping for each student"),
    "temperatures": Param(several(Positive), "softens the outputs of teacher and student (Hinton et al. 2015)"),
    "soft_weight": Param(Share, "weight of the teacher's outputs in the loss; the labels get the rest"),
    "nontarget_weight": Param(NotNegative, "weight of the classes other than the label in decoupled distillation"),
    "hint_layers": Param(dict[str, str], "layers of the student -> layers of the teacher that they imitate"),
    "hint_weight": Param(NotNegative, "weight of the difference of projected features"),
    "attention_weight": Param(NotNegative, "weight of the difference of attention maps"),
    "label_smoothing": Param(Ratio, "probability spread over all classes, in the control with smoothed labels"),
    "search_space": Param(SEARCH_SPACE, "values that the genes of a searched net may have"),
    "search_methods": Param(Names, "methods that search, beside random search", choices="edgebook.search:METHODS"),
    "search_seeds": Param(several(Natural), "seeds of each method; two or more give intervals"),
    "n_evaluations": Param(Count, "nets that each method evaluates", "nets"),
    "search_cost": Param(str, "what is kept low beside a high score", choices="edgebook.search:COSTS"),
    "search_limit": Param(Positive, "the most that a searched net may cost, in the unit of its cost"),
    "table_nets": Param(Natural, "nets that are timed for the table of layer times; 0: no table", "nets"),
    "proxy_items": Param(Count, "training items of the short training that a search judges by", "items"),
    "n_audit": Param(Annotated[int, Field(ge=5)], "searched nets that are trained in full", "nets"),
    "board": Param(str, "board of devices.yaml that a file is looked for"),
    "flash_bytes": Param(Positive | None, "flash that the file may take; null: all that the board has", "bytes"),
    "ram_bytes": Param(Positive | None, "working memory that the file may take; null: all that the board has", "bytes"),
    "minutes": Param(Positive, "time that autotune searches, all runs together", "minutes"),
    "n_trials": Param(Natural, "chains of compression that autotune tries at most; 0: no limit"),
    "codebook_bits": Param(several(Bits), "bits of each weight's index", "bits"),
    "codebook_levels": Param(Names, "which values the weights may take", choices="edgebook.compress.quantize:LEVELS"),
    "average_bits": Param(several(Bits), "bits per weight of the uniform network, whose size is the budget", "bits"),
    "bit_options": Param(several(Bits), "bits that a layer may have", "bits"),
    "n_sensitivity": Param(Count, "validation items that sensitivity is measured on", "items"),
    "shift": Param(str, "how the data have shifted since training", choices="edgebook.tasks:SHIFTS"),
    "shift_strength": Param(Positive, "standard deviations of noise, right angles of a rotation, or a sensor's loss of gain"),
    "trainers": Param(Names, "runtimes that train the last layer", choices="edgebook.runtimes.train_step:TRAINERS"),
    "n_labelled": Param(Count, "labelled items of the shifted data that are learned", "items"),
    "adapt_steps": Param(Count, "steps of SGD on the last layer, one item each", "steps"),
    "adapt_rate": Param(Positive, "step size of SGD on the last layer"),
    "n_finalists": Param(Natural, "networks of this run, the best on validation, that are exported beside the baseline"),
    "latency_budget_ms": Param(NotNegative, "longest time per item; 0: no limit", "ms"),
    "max_loss": Param(NotNegative | None, "validation score that may be lost to the baseline; null: the metric's margin"),
}


@lru_cache
def notebook_defaults(stem: str) -> dict[str, Any]:
    """The parameters of a notebook and their defaults, read from its parameters cell. Raises BadInput when unknown."""
    books = {path.stem: path for path in sorted(NOTEBOOKS.glob("*.ipynb"))}
    if stem not in books:
        raise BadInput(f"notebook {stem!r} is unknown; known: {', '.join(books)}")
    for cell in json.loads(books[stem].read_text(encoding="utf-8"))["cells"]:
        if "parameters" in cell["metadata"].get("tags", []):
            statements = ast.parse("".join(cell["source"])).body
            assignments = [(node.targets[0], node.value) for node in statements if isinstance(node, ast.Assign)]
            return {name.id: ast.literal_eval(value) for name, value in assignments if isinstance(name, ast.Name)}
    return {}


def check(values: Mapping[str, Any], *, where: str) -> None:
    """Refuse a parameter that is unknown, of a wrong type or out of range.

    Raises BadInput, one line with file, key, value and what is allowed. `where` is the file, or the file and section.
    """
    for name, value in values.items():
        if name not in PARAMS:
            known = ", ".join(get_close_matches(name, PARAMS)) or "those that `edgebook params` lists"
            raise BadInput(f"{where}: {name:.80} is not a parameter; known: {known}")
        check_type(name, PARAMS[name].type, value, where)
        _check_choices(name, value, where)


def _check_choices(name: str, value: Any, where: str) -> None:
    """Refuse a name that the parameter's table does not have, or a path without a file."""
    param = PARAMS[name]
    for choice in _choices_in(value) if param.choices else []:
        if param.takes_path and is_path(choice):
            if not is_package(choice) and not Path(choice.rpartition(":")[0] or choice).expanduser().exists():
                raise BadInput(f"{where}: {name} = {choice!r}: no such file or folder")
        elif choice not in param.names():
            raise BadInput(f"{where}: {name} = {choice!r} is unknown; allowed: {', '.join(param.names())}")


def _choices_in(value: Any) -> Iterable[str]:
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else [value]
