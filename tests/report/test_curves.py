import math
import struct

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.compat.proto import event_pb2, summary_pb2
from tensorboard.plugins.scalar.metadata import create_summary_metadata
from tensorboard.summary.writer.event_file_writer import EventFileWriter
from tensorboard.util.tensor_util import make_tensor_proto

from bakeoff.report.curves import read_curves


def write(folder, points, *, suffix="", start=1000.0, value=None):
    """Write (tag, step, number) points, a second apart, to one event file; `value` makes the proto."""
    value = value or (lambda tag, number: summary_pb2.Summary.Value(tag=tag, simple_value=number))
    writer = EventFileWriter(str(folder), filename_suffix=suffix)
    for seconds, (tag, step, number) in enumerate(points):
        summary = summary_pb2.Summary(value=[value(tag, number)])
        writer.add_event(event_pb2.Event(wall_time=start + seconds, step=step, summary=summary))
    writer.close()


def event_file(folder):
    (path,) = folder.glob("events.out.tfevents.*")
    return path


def test_every_point_of_every_tag_is_read(tmp_path):
    losses = [("train/loss", step, 1 / (1 + step)) for step in range(3000)]  # TensorBoard would keep 1000
    write(tmp_path, [*losses, ("val/accuracy", 100, 0.5), ("val/accuracy", 200, 0.75)])
    curves = read_curves(tmp_path)
    assert list(curves) == ["train/loss", "val/accuracy"]
    steps, values = curves["train/loss"]
    np.testing.assert_array_equal(steps, np.arange(3000))
    np.testing.assert_array_equal(values, np.float32(1 / (1 + np.arange(3000))))
    assert (steps.dtype, values.dtype) == (np.int64, np.float64)
    assert curves["val/accuracy"].values.tolist() == [0.5, 0.75]


def test_agrees_with_tensorboards_own_reader(tmp_path):
    rng = np.random.default_rng(0)
    write(tmp_path, [(tag, step, rng.normal()) for step in range(50) for tag in ("train/loss", "grad/norm")])
    accumulator = EventAccumulator(str(tmp_path), size_guidance={"scalars": 0})
    accumulator.Reload()
    for tag, curve in read_curves(tmp_path).items():
        theirs = accumulator.Scalars(tag)
        assert curve.steps.tolist() == [event.step for event in theirs]
        assert curve.values.tolist() == [event.value for event in theirs]


def test_reads_what_torch_writes(tmp_path):
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(tmp_path)) as writer:
        writer.add_scalar("old", 0.5, 1)
        writer.add_scalar("new", 0.25, 2, new_style=True)
        writer.add_text("note", "no scalar", 3)
        writer.add_histogram("weights", np.arange(4.0), 4)
    curves = read_curves(tmp_path)
    assert {tag: (c.steps.tolist(), c.values.tolist()) for tag, c in curves.items()} == {
        "new": ([2], [0.25]),
        "old": ([1], [0.5]),
    }


def test_reads_scalars_kept_as_tensors_and_passes_by_other_tensors(tmp_path):
    def scalar(tag, number):
        metadata = create_summary_metadata("", "")
        return summary_pb2.Summary.Value(tag=tag, tensor=make_tensor_proto(number), metadata=metadata)

    def other(tag, number):
        return summary_pb2.Summary.Value(tag=tag, tensor=make_tensor_proto([number]))

    write(tmp_path, [("a", 1, 0.1), ("a", 2, 0.2)], value=scalar)
    write(tmp_path, [("b", 1, 0.1)], value=other, suffix=".other")
    curves = read_curves(tmp_path)
    assert list(curves) == ["a"]
    assert curves["a"].values.tolist() == pytest.approx([0.1, 0.2])


def test_values_that_are_not_finite_stay(tmp_path):
    write(tmp_path, [("train/loss", 0, 1.0), ("train/loss", 1, math.inf), ("train/loss", 2, math.nan)])
    assert read_curves(tmp_path)["train/loss"].values.tolist() == pytest.approx([1.0, math.inf, math.nan], nan_ok=True)


def test_files_are_joined_and_a_repeated_step_takes_the_later_value(tmp_path):
    # by the names, as TensorBoard takes them: the clock of the machine that resumed the run was behind
    write(tmp_path, [("loss", step, 1.0) for step in (1, 2, 3)], start=2000)
    event_file(tmp_path).rename(tmp_path / "events.out.tfevents.1")
    write(tmp_path, [("loss", step, 2.0) for step in (3, 4)], start=1000)
    steps, values = read_curves(tmp_path)["loss"]
    assert (steps.tolist(), values.tolist()) == ([1, 2, 3, 4], [1.0, 1.0, 2.0, 2.0])


def test_steps_rise_whatever_order_they_were_written_in(tmp_path):
    write(tmp_path, [("loss", step, float(step)) for step in (3, 1, 2)])
    steps, values = read_curves(tmp_path)["loss"]
    assert (steps.tolist(), values.tolist()) == ([1, 2, 3], [1.0, 2.0, 3.0])


def test_every_cut_of_a_file_gives_the_points_before_it(tmp_path):
    write(tmp_path, [("loss", step, float(step)) for step in range(4)])
    path = event_file(tmp_path)
    whole = path.read_bytes()
    counts = []
    for length in range(len(whole) + 1):
        path.write_bytes(whole[:length])
        curves = read_curves(tmp_path)
        points = curves["loss"].steps.tolist() if curves else []
        assert points == list(range(len(points)))
        counts.append(len(points))
    assert counts == sorted(counts)
    assert set(counts) == {0, 1, 2, 3, 4}


def test_damage_ends_a_file_and_spares_the_others(tmp_path):
    write(tmp_path, [("loss", step, float(step)) for step in range(4)], suffix=".a")
    path = event_file(tmp_path)
    data = bytearray(path.read_bytes())
    (first,) = struct.unpack_from("<Q", data)
    data[-30] ^= 0xFF  # in the last record
    path.write_bytes(data)
    assert first > 0
    write(tmp_path, [("accuracy", 0, 0.5)], suffix=".b")
    curves = read_curves(tmp_path)
    assert curves["loss"].steps.tolist() == [0, 1, 2]
    assert curves["accuracy"].values.tolist() == [0.5]


@pytest.mark.parametrize("content", [b"", b"garbage", b"\x00" * 100], ids=["empty", "text", "zeros"])
def test_no_event_file_at_heart_gives_no_curves(tmp_path, content):
    (tmp_path / "events.out.tfevents.1.host").write_bytes(content)
    assert read_curves(tmp_path) == {}


def test_only_the_runs_own_folder_is_read(tmp_path):
    assert read_curves(tmp_path) == {}
    assert read_curves(tmp_path / "missing") == {}
    write(tmp_path / "deeper", [("loss", 0, 1.0)])
    assert read_curves(tmp_path) == {}
