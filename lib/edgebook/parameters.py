"""Every parameter of every notebook, once: name -> type, range, choices, unit, meaning. A name means the same everywhere."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, TypeAdapter, ValidationError

from edgebook.errors import BadInput
from edgebook.paths import NOTEBOOKS

Count = Annotated[int, Field(ge=1)]
Natural = Annotated[int, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
Ratio = Annotated[float, Field(ge=0, lt=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Precision = Literal["fp32", "fp16", "bf16", "int8-dynamic", "int8-static", "int16x8", "int8-weight", "int4-weight",
                    "int4-dynamic", "int4-static"]  # fmt: skip
Algorithm = Literal["minmax", "average", "percentile", "entropy", "mse", "octav"]
Bits = Annotated[int, Field(ge=1, le=8)]


@dataclass(frozen=True)
class Param:
    """One line of the reference. `known` gives the allowed names of a registry, asked for only when a value is checked."""

    type: Any
    meaning: str
    unit: str = ""
    known: Callable[[], Mapping] | None = None


def _tasks() -> Mapping:
    from edgebook.tasks import TASKS

    return TASKS


def _models() -> Mapping:
    from edgebook.models import MODELS

    return MODELS


def _runtimes() -> Mapping:
    from edgebook.runtimes import RUNTIMES

    return RUNTIMES


def _importances() -> Mapping:
    from edgebook.compress.prune.importance import IMPORTANCES

    return IMPORTANCES


def _hidden_importances() -> Mapping:
    from edgebook.compress.prune.hidden_units import IMPORTANCES

    return IMPORTANCES


def _regularizers() -> Mapping:
    from edgebook.compress.prune.regularize import REGULARIZERS

    return REGULARIZERS


def _repairs() -> Mapping:
    from edgebook.compress.quantize.equalize import REPAIRS

    return REPAIRS


PARAMS: dict[str, Param] = {
    "run": Param(Annotated[str, Field(pattern=r"^[\w.-]+$")], "name of the run: the folder under reports/"),
    "task": Param(str, "data set, or a path to your .npz", known=_tasks),
    "model": Param(str, "architecture, or path/to/file.py:function", known=_models),
    "model_shape": Param(dict[str, Any], "arguments of the model's builder"),
    "seed": Param(Natural, "seed of training and of every random choice"),
    "device": Param(Literal["auto", "cpu", "cuda", "mps"], "where training runs"),
    "train_threads": Param(Count, "threads of training", "cores"),
    "threads": Param(Count, "threads of the runtimes", "cores"),
    "runtimes": Param(Annotated[list[str], Field(min_length=1)], "runtimes that files are made for", known=_runtimes),
    "batch_sizes": Param(list[Count], "items that a call takes, one file each; the first is what others compare with"),
    "measure_s": Param(Positive, "time spent timing a file", "s"),
    "baseline_epochs": Param(Count, "epochs of the baseline's training"),
    "baseline_batch_size": Param(Count, "items a training step", "items"),
    "baseline_lr": Param(Positive, "peak learning rate of the one-cycle schedule"),
    "baseline_optimizer": Param(Literal["adam", "sgd"], "optimizer of every training"),
    "baseline_weight_decay": Param(Annotated[float, Field(ge=0)], "weight decay of every training"),
    "baseline_label_smoothing": Param(Ratio, "label smoothing of the baseline's training"),
    "baseline_augment": Param(bool, "use the task's augmentation"),
    "baseline_dtype": Param(Literal["float32", "bfloat16"], "arithmetic of training (bfloat16: autocast)"),
    "importances": Param(Annotated[list[str], Field(min_length=1)], "what says which channels go", known=_importances),
    "pruning_ratios": Param(list[Ratio], "share of every layer's channels to remove"),
    "scope": Param(Literal["uniform", "global", "isomorphic"], "channels ranked in every layer, over all, or over like layers"),
    "macs_ratios": Param(list[Ratio], "share of the multiply-accumulates to remove"),
    "n_steps": Param(Count, "pruning steps, with fine-tuning between"),
    "scan_ratios": Param(Annotated[list[Ratio], Field(min_length=1)], "share of one layer's channels removed at a time"),
    "latency_ratios": Param(
        list[Annotated[float, Field(gt=0, lt=1)]], "share of the baseline's latency that a net pruned by the clock may take"
    ),
    "latency_runtime": Param(str, "runtime whose clock pruning goes by", known=_runtimes),
    "clock_cost": Param(Literal["loss", "operations"], "what pruning by the clock keeps small for the time that it saves"),
    "clock_tune_items": Param(
        Annotated[int, Field(ge=0)], "items on which a removal by the clock is tuned before it is judged; 0: not tuned", "items"
    ),
    "same_time": Param(
        list[Literal["uniform", "global"]], "what takes channels evenly or by one ranking, at the latency asked of the clock"
    ),
    "hidden_ratios": Param(Annotated[list[Ratio], Field(min_length=1)], "share of the hidden units to remove"),
    "hidden_importances": Param(
        Annotated[list[str], Field(min_length=1)], "what says which hidden units go", known=_hidden_importances
    ),
    "regularizers": Param(list[str], "sparse learning before pruning", known=_regularizers),
    "reg": Param(Positive, "strength of sparse learning, added to the gradients"),
    "sparsities": Param(Annotated[list[Ratio], Field(min_length=1)], "share of the weights set to zero, rising"),
    "sparsity_scope": Param(Literal["global", "layer"], "weights ranked over the whole net, or in every layer"),
    "lottery_scope": Param(Literal["global", "layer"], "the same for lottery tickets, whose networks are trained anew"),
    "sparsity_initial": Param(Ratio, "sparsity at which the cubic schedule begins"),
    "sparsity_begin": Param(Share, "share of the steps after which the cubic schedule begins"),
    "sparsity_end": Param(Share, "share of the steps after which it has its final sparsity"),
    "sparsity_frequency": Param(Count, "steps between two rises of the sparsity", "steps"),
    "n_of_m": Param(list[str], "patterns such as 2:4, the n largest of m weights in a row stay"),
    "keep_dense": Param(list[str], "layers that N:M patterns leave alone"),
    "l1_weights": Param(list[Positive], "weight of the sum of all weights' sizes in the loss"),
    "l1_threshold": Param(Positive, "weights below this size are dropped after training with L1"),
    "round_to": Param(Literal[1, 4, 8, 16], "channel counts are multiples of this", "channels"),
    "finetune_epochs": Param(Natural, "epochs of fine-tuning after compression"),
    "finetune_lr": Param(Positive, "peak learning rate of fine-tuning"),
    "finetune_augment": Param(bool | None, "use the task's augmentation in fine-tuning; null: as the baseline does"),
    "finetune_soft_weight": Param(
        Share, "weight of the float baseline's outputs in the loss of fine-tuning; labels get the rest"
    ),
    "plain_control": Param(bool, "also prune to the same operations as Torch-Pruning does by itself"),
    "scratch_ratios": Param(list[Ratio], "ratios whose pruned shape is also trained from scratch, as the control"),
    "precisions": Param(Annotated[list[Precision], Field(min_length=1)], "number formats of the files"),
    "granularities": Param(
        Annotated[list[Literal["channel", "tensor"]], Field(min_length=1)], "one weight scale a channel, or a layer"
    ),
    "n_calibration": Param(Count, "training items that set the ranges of static int8", "items"),
    "student": Param(str, "architecture of the student", known=_models),
    "student_shape": Param(dict[str, Any], "arguments of the student's builder"),
    "distill_epochs": Param(Count, "epochs of the student's training, distilled and alone"),
    "temperatures": Param(Annotated[list[Positive], Field(min_length=1)], "softens both outputs (Hinton et al. 2015)"),
    "soft_weight": Param(Share, "weight of the teacher's outputs in the loss; the labels get the rest"),
    "algorithms": Param(Annotated[list[Algorithm], Field(min_length=1)], "what sets the ranges of static int8"),
    "calibration_sizes": Param(list[Count], "sizes of the calibration panel", "items"),
    "repairs": Param(list[str], "what is done to the float network before it gets one scale a layer", known=_repairs),
    "calibration_seeds": Param(Annotated[list[Natural], Field(min_length=1)], "draws of the calibration panel"),
    "qat_epochs": Param(Count, "epochs of training with rounding in the loop"),
    "qat_lr": Param(Positive, "peak learning rate of that training"),
    "codebook_bits": Param(Annotated[list[Bits], Field(min_length=1)], "bits of each weight's index", "bits"),
    "level_kinds": Param(
        Annotated[list[Literal["kmeans", "linear", "log2"]], Field(min_length=1)], "which values the weights may take"
    ),
    "average_bits": Param(
        Annotated[list[Annotated[float, Field(ge=1, le=8)]], Field(min_length=1)], "bits a weight, mean over the net", "bits"
    ),
    "bit_options": Param(Annotated[list[Bits], Field(min_length=1)], "bits that a layer may have", "bits"),
    "n_sensitivity": Param(Count, "validation items that sensitivity is measured on", "items"),
    "n_finalists": Param(Natural, "networks of this run, the best on validation, that are exported beside the baseline"),
    "latency_budget_ms": Param(Annotated[float, Field(ge=0)], "longest time an item may take; 0: no limit", "ms"),
    "max_loss": Param(Share, "validation score that may be lost to the baseline by what ships"),
}


@lru_cache
def notebook_defaults(stem: str) -> dict[str, Any]:
    """The parameters of a notebook and their defaults, read from its parameters cell. Raises BadInput when unknown."""
    known = {path.stem: path for path in sorted(NOTEBOOKS.glob("*.ipynb"))}
    if stem not in known:
        raise BadInput(f"notebook {stem!r} is unknown; known: {', '.join(known)}")
    for cell in json.loads(known[stem].read_text(encoding="utf-8"))["cells"]:
        if "parameters" in cell["metadata"].get("tags", []):
            statements = ast.parse("".join(cell["source"])).body
            return {node.targets[0].id: ast.literal_eval(node.value) for node in statements if isinstance(node, ast.Assign)}
    return {}


def check(values: Mapping[str, Any], *, where: str) -> None:
    """Refuse a parameter that is unknown, of a wrong type or out of range: one line with file, key, value and what is
    allowed (BadInput). `where` is the file, or the file and section.
    """
    for name, value in values.items():
        if name not in PARAMS:
            raise BadInput(f"{where}: {name} is not a parameter; known: {', '.join(sorted(PARAMS))}")
        param = PARAMS[name]
        try:
            TypeAdapter(param.type).validate_python(value, strict=True)
        except ValidationError as error:
            first = error.errors()[0]
            place = "".join(f"[{part!r}]" for part in first["loc"])
            hint = "; YAML reads 1e-3 as text, write 0.001" if first["type"].endswith("_type") and _looks_numeric(value) else ""
            raise BadInput(f"{where}: {name}{place} = {first['input']!r}: {first['msg']}{hint}") from None
        if param.known:
            _check_known(name, value, param.known(), where)


def _looks_numeric(value: Any) -> bool:
    try:
        return isinstance(value, str) and float(value) is not None
    except ValueError:
        return False


def _check_known(name: str, value: Any, known: Mapping, where: str) -> None:
    for one in value if isinstance(value, list) else [value]:
        own = (name == "task" and one.endswith(".npz")) or (name in ("model", "student") and ".py:" in one)
        if own and not Path(one.split(".py:")[0] + ".py" if ".py:" in one else one).is_file():
            raise BadInput(f"{where}: {name} = {one!r}: no such file")
        if not own and one not in known:
            raise BadInput(f"{where}: {name} = {one!r} is unknown; allowed: {', '.join(sorted(known))}")


def reference(names: list[str] | None = None) -> list[dict[str, str]]:
    """The table of parameters as text: name, type, unit, meaning, for all or for the given names."""
    lines = []
    for name in names or PARAMS:
        schema = TypeAdapter(PARAMS[name].type).json_schema()
        known = PARAMS[name].known
        kind = f"{schema.get('type', 'choice')}: {', '.join(sorted(known()))}" if known else _in_words(schema)
        lines.append({"name": name, "type": kind, "unit": PARAMS[name].unit, "meaning": PARAMS[name].meaning})
    return lines


def _in_words(schema: dict) -> str:
    """A JSON schema in a few words: `number, >= 0, < 1`, `one of adam, sgd`, `list of (...)`."""
    if "enum" in schema:
        return f"one of {', '.join(map(str, schema['enum']))}"
    if schema.get("type") == "array":
        return f"list of ({_in_words(schema['items'])})"
    bounds = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}
    if "anyOf" in schema:
        return " or ".join(_in_words(one) for one in schema["anyOf"])
    return ", ".join([schema.get("type", "any"), *(f"{sign} {schema[key]:g}" for key, sign in bounds.items() if key in schema)])


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML mapping. Raises BadInput in one line for a missing or malformed file."""
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(f"{path}: cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadInput(f"{path}: is not YAML: {' '.join(str(error).split())[:200]}") from None
    if not isinstance(content, dict):
        raise BadInput(f"{path}: a mapping with shared, points, notebooks is needed, not {type(content).__name__}")
    return content
