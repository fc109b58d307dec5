"""What is written beside the runs of a sweep, read by TensorBoard's own readers and checked by sums of our own."""

import json
import math
import os
import shutil
import struct
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.custom_scalar import layout_pb2
from tensorboard.util.tensor_util import make_ndarray

from bakeoff.overview import Overview, bands
from bakeoff.overview.overview import MAX_PASSES
from bakeoff.runs import Outcome
from bakeoff.tensorboard import EventFile

UNITS = {"band": 1, "band_by_samples": 1, "band_by_milliepochs": 1000, "band_by_milliseconds": 1000}
AXES = {"band_by_samples": "samples", "band_by_milliepochs": "epochs", "band_by_milliseconds": "seconds"}


def read(folder):
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0, "tensors": 0, "images": 0})
    events.Reload()
    return events


def points(events, tag):
    return {e.step: e.value for e in events.Scalars(tag)} if tag in events.Tags()["scalars"] else {}


def texts(events, tag):
    return [make_ndarray(e.tensor_proto).item().decode() for e in events.Tensors(tag)]


@pytest.fixture
def two_arms(sweep):
    """Two arms of two seeds."""
    for arm in sorted(sweep.glob("*=*"))[2:]:
        shutil.rmtree(arm)
    return sweep


def set_status(run, status):
    record = json.loads((run / "outcome.json").read_text()) | {"status": status}
    (run / "outcome.json").write_text(json.dumps(record))


def shown(sweep):
    """Every value that TensorBoard would show of the sweep and of its arms, but pictures as their bytes."""
    found = {}
    for folder in (sweep, *sorted(sweep.glob("*=*"))):
        events = read(folder)
        tags = events.Tags()
        found[folder.name, "scalars"] = {tag: points(events, tag) for tag in tags["scalars"]}
        found[folder.name, "images"] = {tag: events.Images(tag)[-1].encoded_image_string for tag in tags["images"]}
        tensors = {tag: events.Tensors(tag)[-1].tensor_proto.SerializeToString() for tag in tags["tensors"]}
        found[folder.name, "tensors"] = tensors
        hparams = events.PluginTagToContent("hparams") if "hparams" in events._plugin_to_tag_to_content else {}
        found[folder.name, "hparams"] = dict(hparams)
    return found


def made_anew(sweep, tmp_path):
    """What is shown of a copy that holds the runs alone."""
    copy = shutil.copytree(sweep, tmp_path / "anew" / sweep.name)
    for path in [*copy.glob("events.*"), *copy.glob("*/events.*")]:
        path.unlink()
    Overview(copy, "val/accuracy").update()
    return shown(copy)


@pytest.fixture
def sweep(small_sweep, tmp_path):
    """A copy that may be changed."""
    return shutil.copytree(small_sweep, tmp_path / "small")


@pytest.mark.parametrize("metric", ["val/accuracy", "val/nll", "train/loss"])
def test_bands_are_mean_and_range_of_two_seeds(small_sweep, metric):
    for arm in small_sweep.glob("*=*"):
        seeds = [points(read(arm / f"seed={seed}"), metric) for seed in (0, 1)]
        band = {part: points(read(arm), f"band/{metric}/{part}") for part in ("mean", "low", "high", "seeds")}
        assert set(band["mean"]) == set(seeds[0]) == set(seeds[1])
        for step in seeds[0]:
            values = [seed[step] for seed in seeds]
            assert band["mean"][step] == pytest.approx(sum(values) / 2, rel=1e-6)
            assert (band["low"][step], band["high"][step]) == (min(values), max(values))
            assert band["seeds"][step] == 2


@pytest.mark.parametrize("group", ["band_by_samples", "band_by_milliepochs"])
def test_bands_lie_along_samples_and_epochs(small_sweep, group):
    for arm in small_sweep.glob("*=*"):
        run = read(arm / "seed=0")
        axis = points(run, f"axis/{AXES[group]}")
        expected = {round(UNITS[group] * axis[step]) for step in points(run, "val/loss")}
        found = points(read(arm), f"{group}/val/loss/mean")
        assert set(found) == expected
        assert list(found.values()) == list(points(read(arm), "band/val/loss/mean").values())


def test_bands_lie_along_milliseconds(small_sweep):
    for arm in small_sweep.glob("*=*"):
        seeds = []
        for seed in (0, 1):
            run = read(arm / f"seed={seed}")
            loss, seconds = points(run, "val/loss"), points(run, "axis/seconds")
            seeds.append(([1000 * seconds[step] for step in loss], list(loss.values())))
        edges = [place for places, _ in seeds for place in (places[0], places[-1])]
        for x, mean in points(read(arm), "band_by_milliseconds/val/loss/mean").items():
            if min(abs(x - edge) for edge in edges) > 1:  # x is rounded: there it may lie on either side
                inside = [np.interp(x, *seed) for seed in seeds if seed[0][0] < x < seed[0][-1]]
                steepest = max(np.abs(np.diff(seed[1]) / np.diff(seed[0])).max() for seed in seeds)
                assert abs(mean - np.mean(inside)) < steepest + 1e-6


def test_the_layout_names_tags_that_are_there(small_sweep):
    (tensor,) = read(small_sweep).Tensors("custom_scalars__config__")
    layout = layout_pb2.Layout.FromString(make_ndarray(tensor.tensor_proto).item())
    tags = set(read(next(small_sweep.glob("*=*"))).Tags()["scalars"])
    assert layout.category[0].title == "against optimizer steps"
    assert layout.category[0].chart[-1].title == "val/accuracy"  # what arms are ranked by is shown first
    margins = [series for c in layout.category for chart in c.chart for series in chart.margin.series]
    assert {tag for series in margins for tag in (series.value, series.lower, series.upper)} <= tags
    lines = [tag for c in layout.category for chart in c.chart for tag in chart.multiline.tag]
    assert {tag.strip("^$") for tag in lines} <= tags
    assert len(margins) == 4 * 6  # axes x main curves


def test_the_root_holds_leaderboard_and_pictures(small_sweep):
    root = read(small_sweep)
    board = texts(root, "leaderboard")[-1]
    assert board.startswith("```\noptimizer: ")
    assert "\nrank  optimizer" in board
    assert "16 completed" in board
    (picture,) = root.Images("choices")
    assert picture.encoded_image_string.startswith(b"\x89PNG")
    width, height = struct.unpack_from(">II", picture.encoded_image_string, 16)
    assert (picture.width, picture.height) == (width, height)
    assert "learning rate" not in root.Tags()["images"]  # it did not vary


def test_learning_rates_have_a_picture(troubled_sweep):
    assert "learning rate" in read(troubled_sweep).Tags()["images"]


def test_arms_of_diverged_runs_say_so_and_have_no_band(troubled_sweep):
    (diverged,) = troubled_sweep.glob("*lr=1e*")
    events = read(diverged)
    assert texts(events, "seeds")[-1].startswith("3 diverged.")
    assert events.Tags()["scalars"] == []


def test_only_what_changed_is_written_again(sweep):
    overview = Overview(sweep, "val/accuracy")
    overview.update()
    before = {arm.name: sorted(p.name for p in arm.glob("events.*")) for arm in sweep.glob("*=*")}
    arm = next(sweep.glob("*=*"))
    set_status(arm / "seed=1", "diverged")
    overview.update()
    after = {arm.name: sorted(p.name for p in arm.glob("events.*")) for arm in sweep.glob("*=*")}
    assert {name for name in after if after[name] != before[name]} == {arm.name}
    events = read(arm)
    assert texts(events, "seeds")[-1].startswith("1 completed, 1 diverged.")
    mean, alone = points(events, "band/val/loss/mean"), points(read(arm / "seed=0"), "val/loss")
    assert mean == alone  # the diverged seed is counted, not averaged in
    assert not points(events, "band/val/loss/low")


def test_a_run_that_was_removed_leaves_the_band(sweep):
    overview = Overview(sweep, "val/accuracy")
    overview.update()
    arm = next(sweep.glob("*=*"))
    shutil.rmtree(arm / "seed=1")
    overview.update()
    assert set(points(read(arm), "band/val/loss/seeds").values()) == {1.0}


def test_an_arm_of_which_no_run_is_left_shows_no_band(two_arms, tmp_path):
    Overview(two_arms, "val/accuracy").update()
    arm = next(two_arms.glob("*=*"))
    for run in arm.glob("seed=*"):
        shutil.rmtree(run)
    Overview(two_arms, "val/accuracy").update()
    assert read(arm).Tags()["scalars"] == []
    before = {path.name: path.stat() for path in arm.glob("events.*")}
    Overview(two_arms, "val/accuracy").update()
    assert {path.name: path.stat() for path in arm.glob("events.*")} == before  # once is enough


def end_during(monkeypatch, run, *, of):
    """Lets `run` complete after its record was read, while the bands of the arm `of` are written."""
    original = bands.write_bands

    def write_bands(arm):
        if arm.folder == of.name:
            set_status(run, "completed")
        original(arm)

    monkeypatch.setattr("bakeoff.overview.overview.write_bands", write_bands)


@pytest.mark.parametrize("passes", [1, MAX_PASSES])
def test_a_seed_that_ends_while_bands_are_written_is_in_them_next(two_arms, monkeypatch, passes):
    """It had been read as running 2 ms before, and the bands were younger than its outcome for good."""
    arm = sorted(two_arms.glob("*=*"))[0]
    set_status(arm / "seed=1", "diverged")
    Overview(two_arms, "val/accuracy").update()
    set_status(arm / "seed=1", "interrupted")
    monkeypatch.setattr("bakeoff.overview.overview.MAX_PASSES", passes)
    end_during(monkeypatch, arm / "seed=1", of=arm)
    overview = Overview(two_arms, "val/accuracy")
    overview.update()
    monkeypatch.undo()
    os.utime(arm / "seed=1" / "outcome.json", (0, 0))  # whatever the times say
    if passes == 1:
        assert set(points(read(arm), "band/val/loss/seeds").values()) == {1.0}
        overview.update()
    assert set(points(read(arm), "band/val/loss/seeds").values()) == {2.0}


def test_what_is_younger_than_all_runs_but_was_made_from_others_is_written_again(two_arms, tmp_path):
    Overview(two_arms, "val/accuracy").update()
    arm = sorted(two_arms.glob("*=*"))[0]
    set_status(arm / "seed=1", "diverged")
    for path in [*two_arms.glob("events.*"), *two_arms.glob("*/events.*")]:
        os.utime(path)
    Overview(two_arms, "val/accuracy").update()
    assert shown(two_arms) == made_anew(two_arms, tmp_path)


def test_what_is_current_is_not_written_again_whatever_its_time(two_arms):
    Overview(two_arms, "val/accuracy").update()
    files = {path: path.read_bytes() for path in [*two_arms.glob("events.*"), *two_arms.glob("*/events.*")]}
    for path in [*files, *two_arms.glob("*/seed=*/outcome.json")]:
        os.utime(path, (0, 0))
    Overview(two_arms, "val/accuracy").update()
    assert {path: path.read_bytes() for path in [*two_arms.glob("events.*"), *two_arms.glob("*/events.*")]} == files


def test_a_file_that_a_killed_process_left_half_written_is_written_anew(two_arms):
    Overview(two_arms, "val/accuracy").update()
    arm = next(two_arms.glob("*=*"))
    (path,) = (path for path in arm.glob("events.*") if path.stat().st_size)
    before = shown(two_arms)
    os.truncate(path, path.stat().st_size // 2)
    assert shown(two_arms) != before
    Overview(two_arms, "val/accuracy").update()
    assert shown(two_arms) == before


def test_an_update_that_another_one_overtook_repairs_what_it_wrote_over(two_arms, tmp_path, monkeypatch):
    """The other reads later and writes earlier: what this one had read before lies over it."""
    arm = sorted(two_arms.glob("*=*"))[0]
    set_status(arm / "seed=1", "diverged")
    Overview(two_arms, "val/accuracy").update()
    set_status(arm / "seed=1", "interrupted")
    original, calls = bands.write_bands, []

    def write_bands(changed):
        calls.append(changed.folder)
        if len(calls) == 1:
            set_status(arm / "seed=1", "completed")
            Overview(two_arms, "val/accuracy").update()
        original(changed)

    monkeypatch.setattr("bakeoff.overview.overview.write_bands", write_bands)
    Overview(two_arms, "val/accuracy").update()
    assert calls == [arm.name] * 3
    assert shown(two_arms) == made_anew(two_arms, tmp_path)


def test_threads_that_update_and_end_runs_at_once_end_with_what_the_records_say(two_arms, tmp_path):
    runs = sorted(two_arms.glob("*=*/seed=*"))
    for run in runs:
        set_status(run, "interrupted")

    def end_some(these):
        overview = Overview(two_arms, "val/accuracy")
        for run in these:
            outcome = Outcome.read(run)
            outcome.status = "completed"
            outcome.write(run)
            overview.update()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(end_some, (runs[::2], runs[1::2])))
    assert shown(two_arms) == made_anew(two_arms, tmp_path)


def test_hostile_text_stays_inside_its_fence(sweep):
    run = next(sweep.glob("*/seed=0"))
    record = json.loads((run / "outcome.json").read_text())
    record["arm"]["loss"] = "```\n<script>alert(1)</script>\n````"
    (run / "outcome.json").write_text(json.dumps(record))
    Overview(sweep, "val/accuracy").update()
    board = texts(read(sweep), "leaderboard")[-1]
    fence = board.split("\n", 1)[0]
    assert set(fence) == {"`"}
    assert len(fence) == 5
    assert board.count(fence) == 2


@pytest.mark.parametrize("content", [b"", b"\x00" * 50, b"garbage"], ids=["empty", "zeros", "text"])
def test_damaged_event_files_leave_the_rest(sweep, content):
    arm = next(sweep.glob("*=*"))
    for path in arm.glob("seed=0/events.*"):
        path.write_bytes(content)
    Overview(sweep, "val/accuracy").update()
    assert points(read(arm), "band/val/loss/seeds").keys() == points(read(arm / "seed=1"), "val/loss").keys()
    assert set(points(read(arm), "band/val/loss/seeds").values()) == {1.0}


def test_an_error_is_logged_and_stops_nothing(sweep, caplog, monkeypatch):
    set_status(next(sweep.glob("*=*")) / "seed=0", "diverged")
    full = OSError(28, "No space left on device")
    monkeypatch.setattr("bakeoff.overview.bands.EventFile.scalars", lambda *_: (_ for _ in ()).throw(full))
    before = {path: path.read_bytes() for path in sweep.glob("*/events.*")}
    Overview(sweep, "val/accuracy").update()
    assert "No space left on device" in caplog.text
    assert {path: path.read_bytes() for path in sweep.glob("*/events.*")} == before


def test_a_sweep_without_runs_is_no_error(tmp_path):
    overview = Overview(tmp_path / "new", "val/accuracy")
    overview.begin([])
    overview.run_ended()
    overview.update()
    assert "leaderboard" not in read(tmp_path / "new").Tags()["tensors"]


def test_updates_take_a_small_fraction_of_the_time(small_sweep, tmp_path, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr("bakeoff.overview.overview.time.monotonic", lambda: clock[0])
    overview, updates = Overview(tmp_path, "val/accuracy"), []

    def update():
        updates.append(clock[0])
        clock[0] += 1.0  # an update takes a second

    monkeypatch.setattr(overview, "update", update)
    for _ in range(1000):
        clock[0] += 0.5  # a run
        overview.run_ended()
    assert 5 <= len(updates) <= 0.02 * clock[0] + 1
    assert math.isclose(updates[1] - updates[0], 51, abs_tol=1)


def test_a_seeds_budget_in_seconds_still_has_a_band(tmp_path):
    for seed in (0, 1):
        run = tmp_path / "default" / f"seed={seed}"
        file = EventFile(run)
        for point in range(1, 6):
            step = point * (10 + seed)
            file.scalars({"val/loss": float(step), "axis/seconds": float(point)}, step)
        file.close()
        (run / "outcome.json").write_text(json.dumps(outcome(seed)))
    Overview(tmp_path, "val/loss").update()
    mean = points(read(tmp_path / "default"), "band/val/loss/mean")
    assert set(mean) <= {10, 20, 30, 40, 50} | {11, 22, 33, 44, 55}
    assert (min(mean), max(mean), len(mean)) == (10, 55, 5)
    np.testing.assert_allclose(list(mean.values()), list(mean), rtol=1e-6)  # the curve is a straight line


def outcome(seed):
    spent = {"steps": 50, "epochs": 1.0, "samples": 1, "seconds": 1.0}
    metrics = {"val/loss": {"final": 50.0, "best": 1.0, "best_step": 1}}
    record = {"schema": 1, "status": "completed", "arm": {}, "overrides": [], "seed": seed, "identity": "i"}
    return record | spent | {"metrics": metrics}
