"""Tables that are kept between exports: the files are the same as with new ones."""

import pytest
import torch

from edgebook.models import build_model
from edgebook.registry import resolve
from edgebook.runtimes.exportable import clean_copy
from edgebook.runtimes.exporter_tables import kept_tables
from edgebook.runtimes.quiet import quiet


@pytest.mark.parametrize("runtime", ["onnx", "litert"])
def test_a_file_is_the_same_with_kept_tables_and_with_new_ones(runtime, tmp_path):
    torch.manual_seed(0)
    net = clean_copy(build_model("conv1d", (1, 40), 10))
    convert = resolve(f"edgebook.runtimes.{runtime}.export:convert")
    files = [tmp_path / f"{n}.file" for n in range(3)]
    with quiet():
        convert(net, torch.zeros(1, 1, 40), files[0])
        with kept_tables():
            convert(net, torch.zeros(1, 1, 40), files[1])
        with kept_tables():
            convert(net, torch.zeros(1, 1, 40), files[2])
    assert files[0].read_bytes() == files[1].read_bytes() == files[2].read_bytes()


def test_the_tables_are_built_once_and_the_exporter_has_its_own_again_afterwards(monkeypatch):
    from torch._export import utils

    built = []

    def _collect_all_valid_cia_ops_for_namespace(namespace):
        built.append(namespace)

    monkeypatch.setattr(utils, "_collect_all_valid_cia_ops_for_namespace", _collect_all_valid_cia_ops_for_namespace)
    for _ in range(2):
        with kept_tables():
            utils._collect_all_valid_cia_ops_for_namespace("aten")
    assert built == ["aten"]
    assert utils._collect_all_valid_cia_ops_for_namespace is _collect_all_valid_cia_ops_for_namespace
