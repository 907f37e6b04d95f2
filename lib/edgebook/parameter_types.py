"""Types of parameters, with their ranges; what pydantic checks."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError

from edgebook.errors import BadInput

UNION_TAGS = ("float", "constrained-float", "none")  # what pydantic puts into an error's place for `number or null`
LARGEST = 1_000_000_000  # of whole numbers: beyond any count that ends
Count = Annotated[int, Field(ge=1, le=LARGEST)]
Natural = Annotated[int, Field(ge=0, le=LARGEST)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Ratio = Annotated[float, Field(ge=0, lt=1)]
OpenRatio = Annotated[float, Field(gt=0, lt=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Bits = Annotated[int, Field(ge=1, le=8)]
RunName = Annotated[str, Field(pattern=r"^\w[\w.-]*$", max_length=100)]
Algorithm = Literal["minmax", "average", "percentile", "entropy", "mse", "octav"]
SshUrl = Annotated[str, Field(pattern=r"^ssh://[^-/?#][^?#]*$")]
Names = Annotated[list[str], Field(min_length=1)]

# fields of a `training.recipe.Recipe` that a preset may set; `seed` and `device` are parameters of their own
RECIPE: dict[str, Any] = {
    "epochs": Natural,
    "batch_size": Count,
    "lr": Positive,
    "optimizer": Literal["adam", "sgd"],
    "weight_decay": NotNegative,
    "label_smoothing": Ratio,
    "augment": bool,
    "dtype": Literal["float32", "bfloat16"],
    "frozen": list[str],
}
BASELINE_RECIPE = RECIPE | {"weights": str}  # weights: a file that training starts from


def several(item: Any) -> Any:
    """A list of at least one `item`."""
    return Annotated[list[item], Field(min_length=1)]


# fields of a `search.space.Space` that a preset may set
SEARCH_SPACE: dict[str, Any] = {
    "n_blocks": Annotated[list[Natural], Field(min_length=2, max_length=2)],
    "kinds": several(Literal["plain", "ds", "ir", "fire"]),
    "widths": several(Count),
    "kernels": several(Count),
    "strides": several(Count),
    "skips": several(bool),
    "stem_widths": several(Count),
    "stem_kernels": several(Count),
    "stem_strides": several(Count),
    "heads": several(Literal["pool", "flat"]),
}


def check_type(name: str, type_: Any, value: Any, where: str) -> None:
    """Refuse a value of a wrong type or range, or an unknown field, by BadInput. type_: as in `Param`."""
    if isinstance(type_, dict):
        if not isinstance(value, dict):
            raise BadInput(f"{where}: {name} = {value!r}: a mapping is needed; fields: {', '.join(type_)}")
        if unknown := [str(field) for field in value if field not in type_]:
            raise BadInput(f"{where}: {name}: {', '.join(unknown)} is not a field of it; allowed: {', '.join(type_)}")
        for field, inner in value.items():
            check_type(f"{name}.{field}", type_[field], inner, where)
        return
    try:
        _adapter(type_).validate_python(value, strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        place = "".join(f"[{part!r}]" for part in first["loc"] if part not in UNION_TAGS)
        hint = "; YAML reads 1e-3 as text, write 0.001" if first["type"].endswith("_type") and _is_numeric(first["input"]) else ""
        raise BadInput(f"{where}: {name}{place} = {first['input']!r:.80}: {first['msg']}{hint}") from None


@cache  # to make one takes longer than to check a value
def _adapter(type_: Any) -> TypeAdapter:
    return TypeAdapter(type_)


def _is_numeric(value: Any) -> bool:
    """Whether a text looks like a number."""
    try:
        return isinstance(value, str) and float(value) is not None
    except ValueError:
        return False
