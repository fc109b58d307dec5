"""Summaries of text, images and histograms in the forms that TensorBoard's plugins read, without TensorFlow."""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence

from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.compat.proto.types_pb2 import DT_DOUBLE, DT_STRING
from tensorboard.plugins.histogram import metadata as histograms
from tensorboard.plugins.text import metadata as texts

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_HEADER = struct.Struct(">8sI4sIIBB")  # signature, length and name of IHDR, width, height, bit depth, colour type
_CHANNELS = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}  # by PNG's colour type; a palette is of RGB


def text(tag: str, markdown: str) -> Summary:
    """A text, which TensorBoard shows as Markdown with unsafe HTML taken out."""
    content = TensorProto(dtype=DT_STRING, string_val=[markdown.encode("utf-8", "replace")])
    about = texts.create_summary_metadata(display_name=None, description=None)
    return Summary(value=[Summary.Value(tag=tag, tensor=content, metadata=about)])


def code_block(content: str, language: str = "") -> str:
    """Markdown that shows a text unchanged: its fence is longer than any run of backticks inside."""
    longest = max(map(len, re.findall("`+", content)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{content.rstrip()}\n{fence}\n"


def image(tag: str, png: bytes) -> Summary:
    """An image; its size is read from the PNG.

    Raises:
        ValueError: `png` is not a PNG.

    """
    if len(png) < _PNG_HEADER.size or not png.startswith(_PNG):
        raise ValueError(f"png must hold a PNG image, got {len(png)} bytes that begin with {png[:8]!r}")
    _, _, _, width, height, _, colour = _PNG_HEADER.unpack_from(png)
    content = Summary.Image(width=width, height=height, colorspace=_CHANNELS[colour], encoded_image_string=png)
    return Summary(value=[Summary.Value(tag=tag, image=content)])


def histogram(tag: str, counts: Sequence[float], edges: Sequence[float]) -> Summary:
    """`counts` (B,) of the values between consecutive `edges` (B + 1,).

    Raises:
        ValueError: there is not one edge more than there are counts.

    """
    if len(edges) != len(counts) + 1:
        raise ValueError(f"edges must be one more than counts, got {len(edges)} edges and {len(counts)} counts")
    rows = [number for row in zip(edges[:-1], edges[1:], counts, strict=True) for number in row]
    dims = [TensorShapeProto.Dim(size=size) for size in (len(counts), 3)]
    content = TensorProto(
        dtype=DT_DOUBLE,
        tensor_shape=TensorShapeProto(dim=dims),
        tensor_content=struct.pack(f"<{len(rows)}d", *rows),
    )
    about = histograms.create_summary_metadata(display_name=None, description=None)
    return Summary(value=[Summary.Value(tag=tag, tensor=content, metadata=about)])
