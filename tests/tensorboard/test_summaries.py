"""Text, images and histograms against TensorBoard's own plugins."""

import io

import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.histogram.histograms_plugin import HistogramsPlugin
from tensorboard.plugins.image.images_plugin import ImagesPlugin
from tensorboard.plugins.text.text_plugin import TextPlugin

from bakeoff.tensorboard import EventFile
from bakeoff.tensorboard.summaries import histogram, image, text


def write(folder, *summaries, step=3):
    file = EventFile(folder / "run")
    for summary in summaries:
        file.summary(summary, step)
    file.close()


def png(mode="RGB", size=(5, 3)):
    file = io.BytesIO()
    Image.new(mode, size).save(file, "PNG")
    return file.getvalue()


def test_text(tmp_path, ask):
    write(tmp_path, text("note", "**bold** α <script>x</script>"))
    [point] = ask(TextPlugin, tmp_path, "/text", run="run", tag="note")
    assert point["step"] == 3
    assert "<strong>bold</strong> α" in point["text"]
    assert "<script>" not in point["text"]


def test_text_that_is_no_valid_unicode(tmp_path, ask):
    write(tmp_path, text("note", "a\udcffb"))
    assert "a?b" in ask(TextPlugin, tmp_path, "/text", run="run", tag="note")[0]["text"]


@pytest.mark.parametrize(("mode", "channels"), [("L", 1), ("RGB", 3), ("RGBA", 4), ("P", 3), ("LA", 2)])
def test_image(tmp_path, ask, mode, channels):
    content = png(mode)
    write(tmp_path, image("picture", content))
    [point] = ask(ImagesPlugin, tmp_path, "/images", run="run", tag="picture", sample="0")
    sent = ask(ImagesPlugin, tmp_path, "/individualImage", raw=True, blob_key=point["query"].removeprefix("blob_key="))
    assert sent == content
    assert image("x", content).value[0].image.colorspace == channels
    events = EventAccumulator(str(tmp_path / "run"))
    events.Reload()
    [read] = events.Images("picture")
    assert (read.width, read.height, read.step, read.encoded_image_string) == (5, 3, 3, content)


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n", b"GIF89a" + bytes(40)])
def test_what_is_no_png_is_refused(content):
    with pytest.raises(ValueError, match="png must hold a PNG image, got"):
        image("picture", content)


def test_histogram(tmp_path, ask):
    values = np.random.default_rng(0).normal(size=1000)
    counts, edges = np.histogram(values, bins=7)
    write(tmp_path, histogram("weights/a", counts.tolist(), edges.tolist()))
    [(_, step, rows)] = ask(HistogramsPlugin, tmp_path, "/histograms", run="run", tag="weights/a")
    assert step == 3
    expected = np.stack([edges[:-1], edges[1:], counts], axis=1)
    assert np.array_equal(np.array(rows), expected)


def test_edges_are_one_more_than_counts():
    with pytest.raises(ValueError, match="edges must be one more than counts, got 2 edges and 2 counts"):
        histogram("x", [1, 2], [0.0, 1.0])


def test_all_of_them_in_one_file(tmp_path):
    write(tmp_path, text("note", "x"), image("picture", png()), histogram("h", [1], [0.0, 1.0]))
    events = EventAccumulator(str(tmp_path / "run"))
    events.Reload()
    tags = events.Tags()
    assert (tags["images"], sorted(tags["tensors"]), tags["scalars"]) == (["picture"], ["h", "note"], [])
