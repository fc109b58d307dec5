"""Draws what a classifier predicted, as PNG: a confusion matrix, and examples with their labels."""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

CELL = 28  # pixels of a cell of the matrix
TILE = 64  # pixels that an example takes, at most
MARGIN, CAPTION, TILE_WIDTH, PER_ROW = 34, 16, 84, 8
FONT_SIZE, TITLE_WIDTH = 11, 190
WHITE, BLACK, RED = (255, 255, 255), (0, 0, 0), (200, 30, 30)


def confusion_matrix(counts: NDArray) -> bytes:
    """`counts` (C, C), row the true class, column the predicted one: each row shaded by fraction, with its counts."""
    n = len(counts)
    fractions = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    size = MARGIN + n * CELL
    picture = Image.new("L", (max(size, TITLE_WIDTH), size), 255)
    cells = Image.fromarray((255 * (1 - 0.75 * fractions)).astype(np.uint8))
    picture.paste(cells.resize((n * CELL, n * CELL), Image.Resampling.NEAREST), (MARGIN, MARGIN))
    draw = ImageDraw.Draw(picture)
    for k in range(n):
        middle = MARGIN + k * CELL + CELL // 2
        _write(draw, (middle, MARGIN - 8), str(k), 0)
        _write(draw, (MARGIN - 10, middle), str(k), 0)
    _write(draw, (picture.width // 2, 8), "columns: predicted, rows: true", 0)
    for i, k in zip(*np.nonzero(counts), strict=True):
        center = (MARGIN + k * CELL + CELL // 2, MARGIN + i * CELL + CELL // 2)
        _write(draw, center, _short(int(counts[i, k])), 255 if fractions[i, k] > 0.5 else 0)
    picture.putpalette(_blues())
    return _png(picture)


def labelled_examples(images: NDArray, labels: Sequence[int], predicted: Sequence[int]) -> bytes:
    """`images` (N, C, H, W), one channel or three, of any range, each with its two labels; at least one image."""
    pixels = _as_bytes(images)
    rows = -(-len(pixels) // PER_ROW)
    picture = Image.new("RGB", (min(len(pixels), PER_ROW) * TILE_WIDTH, rows * (TILE + CAPTION + 4)), WHITE)
    draw = ImageDraw.Draw(picture)
    for k, (image, label, prediction) in enumerate(zip(pixels, labels, predicted, strict=True)):
        left, top = k % PER_ROW * TILE_WIDTH, k // PER_ROW * (TILE + CAPTION + 4)
        tile = _tile(image)
        picture.paste(tile, (left + (TILE_WIDTH - tile.width) // 2, top + (TILE - tile.height) // 2))
        center = (left + TILE_WIDTH // 2, top + TILE + CAPTION // 2)
        _write(draw, center, f"true {label}, pred {prediction}", BLACK if label == prediction else RED)
    return _png(picture)


def _as_bytes(images: NDArray) -> NDArray:
    """(N, H, W) or (N, H, W, 3) in 0..255, each channel stretched over all examples: undoes a standardisation."""
    values = np.nan_to_num(images.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    low, high = (edge(values, axis=(0, 2, 3), keepdims=True) for edge in (np.min, np.max))
    stretched: NDArray = ((values - low) / np.maximum(high - low, 1e-12) * 255).round().astype(np.uint8)
    return stretched[:, 0] if images.shape[1] == 1 else stretched.transpose(0, 2, 3, 1)


def _tile(image: NDArray) -> Image.Image:
    """Small images in whole-numbered magnification, large ones scaled down."""
    tile = Image.fromarray(np.ascontiguousarray(image))
    larger = max(tile.size)
    if larger > TILE:
        tile.thumbnail((TILE, TILE))
        return tile
    factor = TILE // larger
    return tile.resize((tile.width * factor, tile.height * factor), Image.Resampling.NEAREST)


def _short(count: int) -> str:
    """At most four characters, as a cell is wide: 12345 as 12k."""
    if count < 10_000:
        return str(count)
    return f"{count // 1000}k" if count < 1_000_000 else f"{count // 1_000_000}M"


def _write(draw: ImageDraw.ImageDraw, middle: tuple[int, int], text: str, fill: int | tuple[int, int, int]) -> None:
    draw.text(middle, text, fill=fill, font=_font(), anchor="mm")


@lru_cache
def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(FONT_SIZE)


@lru_cache
def _blues() -> bytes:
    """A palette for shades of grey: 0 is black, the shade of a full cell a strong blue, 255 white."""
    shades = np.arange(256)
    channels = [np.interp(shades, [0, 64, 255], ends) for ends in ((0, 30, 255), (0, 90, 255), (0, 170, 255))]
    return np.stack(channels, axis=1).astype(np.uint8).tobytes()


def _png(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG", compress_level=1)  # a third of the time of the default level
    return file.getvalue()
