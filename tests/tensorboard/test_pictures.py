"""Pictures, decoded again: what is where, for every size that a data set may have."""

import io

import numpy as np
import pytest
from PIL import Image

from bakeoff.tensorboard.pictures import CELL, MARGIN, TILE, TILE_WIDTH, confusion_matrix, labelled_examples

RNG = np.random.default_rng(0)


def decoded(png):
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def corner(pixels, row, column):
    """A pixel of a cell away from its number."""
    return pixels[MARGIN + row * CELL + 2, MARGIN + column * CELL + 2]


def test_cells_are_shaded_by_the_shares_of_their_row():
    counts = np.array([[8, 0, 0], [25, 75, 0], [0, 0, 0]])
    pixels = decoded(confusion_matrix(counts))
    white, quarter, most, full = (corner(pixels, *at).sum() for at in ((0, 1), (1, 0), (1, 1), (0, 0)))
    assert white == 3 * 255
    assert white > quarter > most > full
    assert corner(pixels, 2, 2).sum() == 3 * 255  # a class without examples


@pytest.mark.parametrize("n", [1, 2, 10, 30])
@pytest.mark.parametrize("largest", [1, 12_345, 3_000_000])
def test_every_size_is_drawn(n, largest):
    pixels = decoded(confusion_matrix(RNG.integers(0, largest + 1, (n, n))))
    assert pixels.shape[0] == MARGIN + n * CELL
    assert pixels.shape[1] >= MARGIN + n * CELL


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 32, 32), (1, 28, 20)])
def test_examples_are_shown_from_black_to_white(shape):
    original = RNG.integers(0, 256, (16, *shape))
    original[0, :, 0, 0], original[1, :, 0, 0] = 0, 255
    standardised = (original - 100.0) / np.array([50.0, 60.0, 70.0])[: shape[0], None, None]
    pixels = decoded(labelled_examples(standardised, [1] * 16, [1] * 16))
    factor = TILE // max(shape[1:])
    height, width = (size * factor for size in shape[1:])
    for k in (0, 7):
        left, top = k * TILE_WIDTH + (TILE_WIDTH - width) // 2, (TILE - height) // 2
        shown = pixels[top : top + height : factor, left : left + width : factor]
        assert np.array_equal(shown, np.broadcast_to(original[k].transpose(1, 2, 0), shown.shape))


def test_a_wrong_label_is_red():
    right, wrong = (decoded(labelled_examples(np.zeros((1, 1, 8, 8)), [3], [said])) for said in (3, 8))
    caption = slice(TILE, None)
    assert (right[caption].max(axis=2) - right[caption].min(axis=2)).max() == 0  # shades of grey
    assert (wrong[caption][..., 0] - wrong[caption][..., 1]).max() > 100


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (3, 3, 300, 200), (16, 1, 64, 3), (5, 1, 8, 1000)])
def test_odd_sizes_are_drawn(shape):
    labels = [0] * shape[0]
    assert decoded(labelled_examples(RNG.normal(size=shape), labels, labels)).size


def test_values_that_are_not_finite_are_drawn_as_nought():
    images = np.array([[[[np.nan, np.inf], [-np.inf, 1.0]]]])
    assert decoded(labelled_examples(images, [0], [0])).max() == 255
