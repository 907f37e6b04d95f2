"""Augmentation: what may happen to an item, and from which generator."""

import pytest
import torch

from edgebook.tasks.augment import shift, shift_flip, shift_jitter


@pytest.mark.parametrize(("augment", "pixels", "flips"), [(shift_flip, 2, True), (shift, 1, False)])
def test_augmented_images_are_shifts_and_mirrors_of_their_own_image(augment, pixels, flips):
    x = torch.randn(200, 2, 6, 5)
    original, background = x.clone(), float(x.amin())
    y = augment(x, torch.Generator().manual_seed(0))
    assert y.shape == x.shape
    assert torch.equal(x, original)
    padded = torch.nn.functional.pad(x, (pixels,) * 4, value=background)
    seen = set()
    for dy in range(2 * pixels + 1):
        for dx in range(2 * pixels + 1):
            window = padded[:, :, dy : dy + 6, dx : dx + 5]
            for mirrored in (False, True):
                same = (y == (window.flip(3) if mirrored else window)).flatten(1).all(1)
                seen |= {(int(i), dy, dx, mirrored) for i in same.nonzero()}
    assert {i for i, *_ in seen} == set(range(200))  # every item is explained by its own image
    assert len({(dy, dx) for _, dy, dx, _ in seen}) == (2 * pixels + 1) ** 2  # and every shift occurs
    assert {mirrored for *_, mirrored in seen} == ({False, True} if flips else {False})


def test_a_jittered_signal_is_its_own_rotated_by_up_to_two_steps_and_a_little_noise():
    x = torch.randn(200, 1, 40)
    original = x.clone()
    y = shift_jitter(x, torch.Generator().manual_seed(0))
    assert torch.equal(x, original)
    distances = torch.stack([(y - x.roll(steps, 2)).square().mean((1, 2)).sqrt() for steps in range(-2, 3)])  # (5, 200)
    assert (distances.amin(0) < 0.1).all()
    assert set(distances.argmin(0).tolist()) == {0, 1, 2, 3, 4}


@pytest.mark.parametrize("augment", [shift_flip, shift, shift_jitter])
def test_augmentation_draws_from_its_generator_only(augment):
    x = torch.randn(50, 1, 40) if augment is shift_jitter else torch.randn(50, 1, 8, 8)
    first = augment(x, torch.Generator().manual_seed(5))
    torch.manual_seed(99)
    assert torch.equal(first, augment(x, torch.Generator().manual_seed(5)))
    assert not torch.equal(first, augment(x, torch.Generator().manual_seed(6)))
