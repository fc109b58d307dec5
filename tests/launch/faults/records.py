"""What stands in the folders of a sweep after the faults, held against what an undisturbed one left."""

import json
from collections import defaultdict
from contextlib import suppress
from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from bakeoff.report.curves import read_curves
from bakeoff.runs import lease


def records(sweep: Path) -> dict[Path, dict]:
    """Run folder -> its record, where there is one that can be read."""
    found = {}
    for path in sorted(sweep.glob("*/seed=*/outcome.json")):
        with suppress(ValueError):
            found[path.parent] = json.loads(path.read_text())
    return found


def statuses(sweep: Path) -> list[str]:
    return sorted(record["status"] for record in records(sweep).values())


def completed(sweep: Path) -> dict[Path, tuple[bytes, int]]:
    """The records of the completed runs, to the byte and the time of writing."""
    done = [run / "outcome.json" for run, record in records(sweep).items() if record["status"] == "completed"]
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in done}


def in_the_middle(sweep: Path) -> list[Path]:
    """Runs that a live process trains and that have a checkpoint already."""
    found = [path.parent.parent for path in sweep.glob("*/seed=*/checkpoints/last.ckpt")]
    return [run for run in found if lease.is_leased(run)]


def result(run: Path) -> tuple[str, dict]:
    """What is equal to the bit: the metrics, and the curves but for those in seconds."""
    curves = {t: c for t, c in read_curves(run).items() if not t.startswith(("time/", "axis/seconds"))}
    points = {tag: (curve.steps.tolist(), [str(value) for value in curve.values]) for tag, curve in curves.items()}
    return json.dumps(json.loads((run / "outcome.json").read_text())["metrics"]), points


def check_whole(sweep: Path, undisturbed: dict[str, tuple[str, dict]], runs: int) -> None:
    """Nothing lost, nothing double, and every number that of an undisturbed sweep."""
    found = records(sweep)
    assert len(list(sweep.glob("*/seed=*/"))) == len(found) == runs
    assert {record["status"] for record in found.values()} == {"completed"}
    assert len({record["identity"] for record in found.values()}) == runs
    for run, record in found.items():
        metrics, curves = result(run)
        expected_metrics, expected_curves = undisturbed[record["identity"]]
        assert metrics == expected_metrics
        assert curves == expected_curves
        _check_for_tensorboard(run, curves)
        _check_steps(run, record["steps"])
        assert not lease.is_leased(run)
        assert {path.name for path in (run / "checkpoints").iterdir()} >= {"last.ckpt", "best.ckpt"}
        assert not list(run.glob("checkpoints/*previous*")) + list(run.glob("checkpoints/.*"))


def _check_for_tensorboard(run: Path, curves: dict) -> None:
    """TensorBoard's own reader sees each point once, however often it was written."""
    events = EventAccumulator(str(run), size_guidance={"scalars": 0}).Reload()
    for tag in ("train/loss", "val/accuracy"):
        assert [point.step for point in events.Scalars(tag)] == curves[tag][0]


def _check_steps(run: Path, budget: int) -> None:
    furthest = 0
    for steps in steps_by_process(run).values():
        assert steps == list(range(steps[0], steps[0] + len(steps)))
        assert steps[0] <= furthest + 1, f"a step of {run} was never taken"
        furthest = max(furthest, steps[-1])
    assert furthest == budget


def steps_file(run: Path) -> Path:
    """Where the callback of the tests writes down the steps of a run."""
    folder = next(place for place in run.parents if (place / "steps").is_dir())
    return folder / "steps" / "_".join(run.parts[-3:])


def steps_by_process(run: Path) -> dict[str, list[int]]:
    """Process -> the steps that it has taken, one process after the other: they never take turns."""
    found: dict[str, list[int]] = defaultdict(list)
    last = None
    for line in steps_file(run).read_text().splitlines():
        process, step = line.split()
        assert process == last or process not in found, f"two processes at a time in {run}"
        found[process].append(int(step))
        last = process
    return found
