"""A disk that is full, a folder that becomes read-only: one line says so, no completed run is lost, others go on."""

import os
import subprocess
from pathlib import Path

import pytest

from .processes import meanwhile, wait_for
from .records import check_whole, completed, in_the_middle, statuses


def check_refused(status: int, text: str, place: Path, why: str) -> None:
    """One message that says where and why."""
    assert status == 1
    assert "Traceback" not in text
    (said,) = [line for line in text.splitlines() if line.startswith("bakeoff: ") and why in line]
    assert said.startswith("bakeoff: cannot write to ")
    assert str(place) in said
    assert said.endswith("run the same command again to resume")


@pytest.mark.long
def test_a_full_disk(bakeoff, small_disk, eight_runs, undisturbed):
    small_disk.mount("size=700k")
    command, sweep = (*eight_runs, f"root={small_disk.path}"), small_disk.path / "main"
    first = bakeoff(*command)
    check_refused(first.status, first.err, sweep, "No space left on device")
    done = completed(sweep)
    assert 0 < len(done) < 8
    again = bakeoff(*command)  # still full: nothing is lost by trying
    assert again.status != 0
    assert "Traceback" not in again.err + again.out
    assert done.items() <= completed(sweep).items()
    small_disk.mount("remount,size=20m")
    last = bakeoff(*command)
    assert last.status == 0, last.err
    assert done.items() <= completed(sweep).items()
    check_whole(sweep, undisturbed, 8)


@pytest.mark.long
def test_a_full_disk_under_a_single_run(bakeoff, small_disk):
    command = ("trainer=cpu", "trainer.threads=1", "budget.steps=2000", f"root={small_disk.path}")
    small_disk.mount("size=48k")
    first = bakeoff(*command)
    assert first.status in (1, 2)
    assert f"cannot write to {small_disk.path / 'main'}" in first.err
    assert "No space left on device" in first.err
    assert "Traceback" not in first.err + first.out
    small_disk.mount("remount,size=20m")
    last = bakeoff(*command)
    assert last.status == 0, last.err
    assert statuses(small_disk.path / "main") == ["completed"]


@pytest.mark.long
def test_a_disk_that_becomes_read_only(bakeoff, small_disk, eight_runs, undisturbed):
    small_disk.mount("size=20m")
    command, sweep = (*eight_runs, f"root={small_disk.path}"), small_disk.path / "main"
    with meanwhile(lambda: completed(sweep) and in_the_middle(sweep), lambda _: small_disk.make_read_only()):
        first = bakeoff(*command)
    check_refused(first.status, first.err, sweep, "Read-only file system")
    done = completed(sweep)
    again = bakeoff(*command)
    assert again.status != 0
    assert "Read-only file system" in again.err
    assert "Traceback" not in again.err + again.out
    small_disk.unmount()
    last = bakeoff(*command)
    assert last.status == 0, last.err
    assert done.items() <= completed(sweep).items()
    check_whole(sweep, undisturbed, 8)


@pytest.mark.long
def test_a_folder_whose_rights_are_taken_away(start, bakeoff, tmp_path, eight_runs, undisturbed):
    # root may write anywhere, unless it gives this up
    before = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    sweep = tmp_path / "outputs" / "main"
    first = start(*eight_runs, before=before)
    wait_for(lambda: completed(sweep) and in_the_middle(sweep))
    subprocess.run(["chmod", "-R", "a-w", sweep], check=True)
    said = first.wait()
    check_refused(said.status, said.text, sweep.relative_to(tmp_path), "Permission denied")
    done = completed(sweep)
    subprocess.run(["chmod", "-R", "u+w", sweep], check=True)
    last = bakeoff(*eight_runs)
    assert last.status == 0, last.err
    assert done.items() <= completed(sweep).items()
    check_whole(sweep, undisturbed, 8)
