"""Genotypes and search spaces: text and plain data round trips, members that build, refusals with a reason."""

import json
import re

import numpy as np
import pytest
import torch
import torch_pruning
from hypothesis import given, settings
from hypothesis import strategies as st

from edgebook.errors import BadInput
from edgebook.models.genotype import HEADS, KINDS, Block, Genotype, check, from_plain, parse, to_plain
from edgebook.models.macs import count_macs, count_params
from edgebook.models.searched import searched
from edgebook.search.space import BitSpace, Space, fits

CONTROL = "stem 8k5s2 | plain 16k3s1 | plain 16k3s2 | plain 32k3s1 | plain 32k3s2 | pool"
MIXED = "stem 8k5s2 | ir 16k3s2 | fire 16k3s1 +skip | ds 32k3s2 | plain 32k3s1 +skip | flat"
BITS = "stem 8k3s1 | plain 16k3s2 | ds 16k3s1 | plain 16k3s2 | fire 16k3s1 | pool"
SPACES = {
    "2-D": Space((1, 28, 28)),
    "1-D": Space((1, 40), n_blocks=(0, 4), widths=(4, 8, 16), heads=("pool", "flat")),
    "small map": Space((3, 6, 6), kernels=(3, 5, 7)),
    "bits": BitSpace((1, 28, 28), BITS),
}

blocks = st.builds(Block, st.sampled_from(KINDS), st.integers(1, 20), st.integers(1, 7), st.integers(1, 3), st.booleans())
stems = st.builds(Block, st.just("stem"), st.integers(1, 20), st.integers(1, 7), st.integers(1, 3), st.just(False))
genotypes = st.builds(Genotype, stems, st.lists(blocks, max_size=4).map(tuple), st.sampled_from(HEADS))
inputs = st.sampled_from([(1, 28, 28), (3, 7, 12), (1, 40), (2, 5)])


@given(genotypes)
def test_text_and_plain_data_round_trip(genotype):
    assert parse(str(genotype)) == genotype
    assert from_plain(json.loads(json.dumps(to_plain(genotype)))) == genotype


@given(genotypes, inputs)
@settings(max_examples=60, deadline=None)
def test_every_genotype_builds_or_is_refused_with_a_reason(genotype, input_shape):
    if fits(genotype, input_shape):
        net = searched(input_shape, 10, genotype=str(genotype)).eval()
        assert net(torch.zeros(2, *input_shape)).shape == (2, 10)
    else:
        with pytest.raises(BadInput, match=re.escape(f"genotype {genotype}: ")):
            searched(input_shape, 10, genotype=str(genotype))


def test_counts_by_hand():
    net = searched((1, 28, 28), 10, genotype=CONTROL)
    stem, body = 25 * 8, 9 * (8 * 16 + 16 * 16 + 16 * 32 + 32 * 32)
    norms, head = 2 * (8 + 16 + 16 + 32 + 32), 32 * 10 + 10
    assert count_params(net) == stem + body + norms + head == 18_018
    macs = 14 * 14 * (stem + 9 * 8 * 16) + 7 * 7 * 9 * (16 * 16 + 16 * 32) + 4 * 4 * 9 * 32 * 32 + 320
    assert count_macs(net, (1, 28, 28)) == macs


def test_plain_data_build_the_same_net():
    torch.manual_seed(0)
    by_text = searched((1, 28, 28), 10, genotype=MIXED)
    torch.manual_seed(0)
    by_data = searched((1, 28, 28), 10, genotype=to_plain(parse(MIXED)))
    x = torch.randn(2, 1, 28, 28)
    assert torch.equal(by_text.eval()(x), by_data.eval()(x))


@pytest.mark.parametrize("input_shape", [(1, 28, 28), (1, 40)])
def test_torch_pruning_takes_channels_from_every_kind_of_block(input_shape):
    net, x = searched(input_shape, 10, genotype=MIXED).eval(), torch.randn(2, *input_shape)
    before = count_params(net)
    importance = torch_pruning.importance.MagnitudeImportance()
    torch_pruning.pruner.MagnitudePruner(net, x, importance, pruning_ratio=0.5, ignored_layers=[net.linear]).step()
    assert net(x).shape == (2, 10)
    assert count_params(net) < before / 2


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ("plain 8k3s1 | pool", "starts with 'plain 8k3s1'"),
        ("stem 8k3s1 | conv 8k3s1", "kind 'conv'"),
        ("stem 8k3s1 | plain 8x3", "'plain 8x3' cannot be read"),
        ("stem 8k4s1", "the kernel is odd"),
        ("stem 0k3s1", "above zero"),
        ("stem 8k3s1 | fire 9k3s1", "even"),
        ("stem 8k3s1 | plain 16k3s1 +skip", "as many channels as come in (8)"),
        ("stem 8k3s9 | plain 16k9s1", "kernel 9 on a map of side 4"),
        ("stem 8k3s28 | plain 16k1s2", "stride 2 on a map of side 1"),
    ],
)
def test_refusals_name_the_reason(line, part):
    with pytest.raises(BadInput, match=re.escape(part)):
        searched((1, 28, 28), 10, genotype=line)


@pytest.mark.parametrize("name", SPACES)
def test_samples_are_members_and_encode_back(name):
    space, rng = SPACES[name], np.random.default_rng(0)
    lines = set()
    for _ in range(200):
        genes = space.sample(rng)
        genotype = space.decode(genes)
        check(genotype, space.input_shape)
        assert space.decode(space.encode(genotype)) == genotype
        assert all(genes[gene] in values for gene, values in space.genes.items())
        lines.add(str(genotype))
    assert len(lines) > (5 if name == "bits" else 150)


def test_every_number_of_blocks_is_equally_likely():
    rng = np.random.default_rng(0)
    space = SPACES["2-D"]
    counts = np.bincount([len(space.decode(space.sample(rng)).blocks) for _ in range(2000)], minlength=6)
    assert counts[0] == 0
    assert np.all(np.abs(counts[1:] / 2000 - 0.2) < 0.04)


def test_bits_in_the_order_of_the_layers():
    space = SPACES["bits"]
    genes = {"bit.0": 1, "bit.1": 0, "bit.2": 0, "bit.3": 1}
    assert str(space.decode(genes)) == "stem 8k3s1 | plain 16k3s2 | fire 16k3s1 | pool"
    assert space.encode(space.decode(genes)) == genes
    assert space.encode(parse("stem 8k3s1 | plain 16k3s2 | pool"))["bit.0"] == 1  # the first of two equal layers


@pytest.mark.parametrize("name", ["2-D", "1-D", "bits"])
def test_no_sampled_member_is_smaller_than_the_smallest_member(name):
    space, rng = SPACES[name], np.random.default_rng(0)
    smallest = min(count_params(_net(space, genotype)) for genotype in space.small_members())
    sampled = [count_params(_net(space, space.decode(space.sample(rng)))) for _ in range(100)]
    assert smallest <= min(sampled)


def test_a_genotype_outside_the_space_is_refused():
    for line in ("stem 9k3s1 | plain 8k3s1", "stem 8k3s1 | plain 8k3s1 | " + " | ".join(["ds 8k3s1"] * 5)):
        with pytest.raises(BadInput, match="outside the search space"):
            SPACES["2-D"].encode(parse(line))
    with pytest.raises(BadInput, match="outside the search space"):
        SPACES["bits"].encode(parse("stem 8k3s1 | plain 24k3s2 | pool"))


def test_spaces_without_members_are_refused():
    with pytest.raises(BadInput, match="widths empty"):
        Space((1, 28, 28), widths=())
    with pytest.raises(BadInput, match="n_blocks"):
        Space((1, 28, 28), n_blocks=(3, 2))
    with pytest.raises(BadInput, match="kinds conv"):
        Space((1, 28, 28), kinds=("conv",))
    with pytest.raises(BadInput, match="can be built"):
        Space((1, 4, 4), stem_kernels=(9,)).sample(np.random.default_rng(0))
    with pytest.raises(BadInput, match="no optional layer"):
        BitSpace((1, 28, 28), "stem 8k3s1 | pool")


def _net(space, genotype):
    return searched(space.input_shape, 10, genotype=str(genotype))
