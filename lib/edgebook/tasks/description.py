"""What the user says of their data: a YAML file beside them, or nothing where everything can be seen in the data."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from edgebook import yaml_file
from edgebook.errors import BadInput
from edgebook.parameter_types import Count, NotNegative, Positive
from edgebook.tasks.augment import AUGMENTATIONS
from edgebook.tasks.kinds import KINDS
from edgebook.user_data import data_of, is_description

CONFIG = ConfigDict(strict=True, extra="forbid")
PartShare = Annotated[float, Field(gt=0, lt=0.9)]


@dataclass(frozen=True, config=CONFIG)
class ImageSettings:
    """How images become arrays. size: (height, width) that all are brought to; by default all must have the same."""

    size: list[Count] | None = Field(None, min_length=2, max_length=2)
    mode: Literal["grey", "rgb"] | None = None  # that of the first image when None


@dataclass(frozen=True, config=CONFIG)
class AudioSettings:
    """How recordings become features, see `audio_features`. rate, seconds: those of most files when None."""

    features: Literal["log_mel", "mfcc"] = "log_mel"
    rate: Count | None = None  # samples per second; files of another rate are resampled when it is given
    seconds: Positive | None = None  # longer recordings are cut, shorter ones get silence at their end
    window_ms: Positive = 32.0
    hop_ms: Positive = 20.0
    n_mels: Count = 40
    n_mfcc: Count = 10
    low_hz: NotNegative = 20.0
    high_hz: Positive | None = None  # half the rate when None


@dataclass(frozen=True, config=CONFIG)
class Description:
    """Every field of a description; None means: as the data show. docs/data.md explains them."""

    path: str
    kind: str | None = None
    metric: str | None = None
    label: str | list[str] | None = None  # column, or the columns with the values of a regression
    features: list[str] | None = None  # columns; all other numbers when None
    ignore: list[str] = Field(default_factory=list)  # columns
    channels: Count | None = None  # the columns of a row are a sequence of so many channels
    header: bool = True
    item: str | None = None  # long format: column that tells which rows are one item
    time: str | None = None  # long format: column that orders them
    length: Count | None = None  # long format: rows of an item; longer ones are cut
    group: str | None = None  # column, or for folders a pattern whose first bracket finds the group in the path
    split: str | None = None  # column with train, val and test
    items: str | None = None  # for folders: a table with the columns file, label and optionally group, split
    classes: list[str] | dict[str, str] | None = None  # labels in order, or label -> name of its class
    normal: str | None = None  # anomaly detection: the label of normal items
    background: list[str] = Field(default_factory=list)  # classes that are no event: alarms and misses per hour are counted
    test_share: PartShare = 0.2
    val_share: PartShare = 0.1
    standardize: bool | None = None
    class_weights: bool = False
    broken: Literal["refuse", "skip"] = "refuse"
    augment: str | None = None
    image: ImageSettings = Field(default_factory=ImageSettings)
    audio: AudioSettings = Field(default_factory=AudioSettings)


def describe(name: str, **settings: Any) -> Description:
    """The description of `name`: a data file or folder as it is, or what a .yaml file says of one; `settings` win over it.

    Raises BadInput, one line with the file and the field, for a field that is unknown or has a wrong value.
    """
    path = Path(name).expanduser()
    content: dict[str, Any] = {"path": str(path)}
    if is_description(path):
        content = yaml_file.read(path)
        content["path"] = str(data_of(path, content))
        if isinstance(content.get("items"), str):
            content["items"] = str(path.parent / Path(content["items"]).expanduser())
    given = {field: value for field, value in settings.items() if value is not None}
    return _checked({**content, **given}, str(path))


def said(description: Description) -> dict[str, Any]:
    """The fields that differ from their defaults, as plain data; the same as a description file has them."""
    plain = TypeAdapter(type(description)).dump_python(description, exclude_defaults=True)
    return {name: value for name, value in plain.items() if value not in ({}, [])}


def check_used(description: Description, used: frozenset[str], where: str) -> None:
    """Raises BadInput for a field that is set but means nothing for this format."""
    unused = [name for name in said(description) if name not in used]
    if unused:
        raise BadInput(f"{where}: {', '.join(unused)} means nothing here; allowed: {', '.join(sorted(used))}")


def _checked(values: dict[str, Any], where: str) -> Description:
    inner = {name: _record(record, values[name], where, f"{name}.") for name, record in NESTED.items() if _is_dict(values, name)}
    description = _record(Description, {**values, **inner}, where)
    _check_name(where, "kind", description.kind, KINDS)
    _check_name(where, "augment", description.augment, AUGMENTATIONS)
    if description.kind and description.metric:
        _check_name(where, "metric", description.metric, KINDS[description.kind].all_metrics)
    if (description.item is None) != (description.time is None):
        raise BadInput(f"{where}: item and time belong together; allowed: both, or neither")
    return description


def _is_dict(values: dict[str, Any], name: str) -> bool:
    return isinstance(values.get(name), dict)


def _record(record: Any, values: dict[str, Any], where: str, place: str = "") -> Any:
    """The record with these values. Raises BadInput for the first that is unknown or wrong."""
    known = [field.name for field in fields(record)]
    if unknown := [name for name in values if name not in known]:
        raise BadInput(f"{where}: {place}{unknown[0]} is unknown; allowed: {', '.join(known)}")
    try:
        return record(**values)
    except ValidationError as error:
        first = error.errors()[0]
        name = f"{place}{first['loc'][0]}" if first["loc"] else place
        raise BadInput(f"{where}: {name} = {first['input']!r:.80}: {first['msg']}") from None


def _check_name(where: str, field: str, value: str | None, allowed: Any) -> None:
    if value is not None and value not in allowed:
        raise BadInput(f"{where}: {field} = {value!r} is unknown; allowed: {', '.join(allowed)}")


NESTED = {"image": ImageSettings, "audio": AudioSettings}
