"""Types of parameters, with their ranges; what pydantic checks."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

Count = Annotated[int, Field(ge=1)]
Natural = Annotated[int, Field(ge=0)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Ratio = Annotated[float, Field(ge=0, lt=1)]
OpenRatio = Annotated[float, Field(gt=0, lt=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Bits = Annotated[int, Field(ge=1, le=8)]
RunName = Annotated[str, Field(pattern=r"^\w[\w.-]*$", max_length=100)]
Algorithm = Literal["minmax", "average", "percentile", "entropy", "mse", "octav"]
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
