"""Leases between real processes: races, kill -9, zombies, numbers used again, other machines, damaged files."""

import json
import math
import os
import signal
import subprocess
import sys
import threading
import time

import psutil
import pytest

from bakeoff.runs import lease as leases
from bakeoff.runs.lease import DEAD_AFTER, acquire, holder_of, is_leased

# Speaks in lines: takes the folder it is told, says whether it got it, and holds it until it is told to go on.
HOLDER = """
import sys
from pathlib import Path
from bakeoff.runs.lease import acquire
print("ready", flush=True)
for line in sys.stdin:
    lease = acquire(Path(line.rstrip()))
    print("none" if lease is None else lease.path.name, flush=True)
    if lease and sys.stdin.readline() == "release\\n":
        lease.release()
        print("released", flush=True)
"""


class Process:
    def __init__(self):
        self.popen = subprocess.Popen(
            [sys.executable, "-c", HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        assert self.hear() == "ready"

    def say(self, line):
        self.popen.stdin.write(f"{line}\n")

    def hear(self):
        return self.popen.stdout.readline().rstrip()

    def acquire(self, folder):
        self.say(folder)
        return self.hear()

    def release(self):
        self.say("release")
        assert self.hear() == "released"

    def kill(self):
        self.popen.kill()
        self.popen.wait()

    def close(self):
        self.popen.kill()
        self.popen.communicate()


@pytest.fixture
def start():
    started = []

    def begin(count=1):
        started.extend(found := [Process() for _ in range(count)])
        return found

    yield begin
    for process in started:
        process.close()


@pytest.fixture
def run(tmp_path):
    return tmp_path / "optimizer=adam" / "seed=0"


def edit(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def age(path, seconds):
    then = time.time() - seconds
    os.utime(path, (then, then))


def test_a_lease_is_held_by_one_and_given_back(run, start):
    (other,) = start()
    assert not is_leased(run)
    with acquire(run) as lease:
        assert lease.is_held()
        holder = holder_of(run)
        assert (holder.process, holder.fraction_done, holder.token) == (os.getpid(), 0, lease.holder.token)
        assert other.acquire(run) == "none"
        assert acquire(run) is None  # nor this process itself, again
    assert list(run.iterdir()) == []
    assert (holder_of(run), is_leased(run)) == (None, False)
    assert other.acquire(run) == "lease.0"
    assert holder_of(run).process == other.popen.pid


def test_a_killed_process_holds_nothing(run, start):
    first, second = start(2)
    assert first.acquire(run) == "lease.0"
    assert second.acquire(run) == "none"
    first.kill()
    assert not is_leased(run)
    assert second.acquire(run) == "lease.1"
    assert holder_of(run).process == second.popen.pid
    second.release()
    (third,) = start()
    assert third.acquire(run) == "lease.1"  # the dead one stays, and holds nothing


def test_a_zombie_holds_nothing(run, start):
    (process,) = start()
    assert process.acquire(run) == "lease.0"
    process.popen.kill()
    os.waitid(os.P_PID, process.popen.pid, os.WEXITED | os.WNOWAIT)  # dead, and not buried
    assert not is_leased(run)
    assert acquire(run).number == 1


def test_a_stopped_process_holds_on(run, start):
    (process,) = start()
    process.acquire(run)
    process.popen.send_signal(signal.SIGSTOP)
    assert acquire(run) is None


@pytest.mark.slow
def test_of_two_that_race_one_gets_it(tmp_path, start):
    pair = start(2)
    for number in range(300):
        folder = tmp_path / str(number)
        for process in pair:
            process.say(folder)
        got = [process.hear() for process in pair]
        assert sorted(got) == ["lease.0", "none"], number
        winner, loser = pair if got[0] == "lease.0" else reversed(pair)
        winner.release()
        assert loser.acquire(folder) == "lease.0"
        loser.release()


@pytest.mark.slow
def test_of_several_that_take_over_one_gets_it(tmp_path, start):
    *many, dead = start(5)
    dead.say(tmp_path / "dead")
    dead.hear()
    text = (tmp_path / "dead" / "lease.0").read_text()
    dead.kill()
    for number in range(100):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "lease.0").write_text(text)
        for process in many:
            process.say(folder)
        got = [process.hear() for process in many]
        assert sorted(got) == ["lease.1", "none", "none", "none"], number
        many[got.index("lease.1")].release()


ENDLESS = """
import os, random, sys, time
from pathlib import Path
from bakeoff.runs.lease import acquire
folder, until = Path(sys.argv[1]), time.monotonic() + float(sys.argv[2])
print("ready", flush=True)
while time.monotonic() < until:
    lease = acquire(folder)
    if lease is None:
        continue
    inside = os.open(folder / "inside", os.O_CREAT | os.O_EXCL)  # fails where another one is inside
    os.close(inside)
    assert lease.is_held(), "lost, and nobody was dead"
    os.unlink(folder / "inside")
    if random.random() < 0.05:
        os.kill(os.getpid(), 9)
    lease.release()
"""


@pytest.mark.slow
def test_never_two_at_once_while_processes_come_go_and_are_killed(run):
    """Leases given back at once leave the most room for those who looked a while ago."""

    def begin():
        command = [sys.executable, "-c", ENDLESS, str(run), "1"]
        return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, stdout=subprocess.DEVNULL)

    processes, deaths, until = [begin() for _ in range(3)], 0, time.monotonic() + 6
    while processes:
        process = processes.pop(0)
        _, errors = process.communicate()
        assert errors == ""
        deaths += process.returncode == -9
        if time.monotonic() < until:
            processes.append(begin())
    assert deaths > 1
    assert len(list(run.glob("lease.*"))) == deaths
    assert not is_leased(run)


def test_a_death_in_the_middle_of_a_take_over_blocks_nobody(run, start):
    """The successor of a dead process was killed before it could do anything about its predecessor."""
    for number in range(2):
        (process,) = start()
        process.acquire(run)
        process.kill()
        assert (run / f"lease.{number}").exists()
    edit(run / "lease.0", token="as it was")
    assert acquire(run).number == 2


def test_who_looked_long_ago_takes_no_number_away(run, start, monkeypatch):
    """It sees a dead lease; two others take over, end, and begin anew, before it goes on."""
    dead, other = start(2)
    dead.acquire(run)
    dead.kill()
    looked = leases._highest(run)
    other.acquire(run)
    other.release()
    (newest,) = start()
    assert newest.acquire(run) == "lease.1"
    views = [looked]
    monkeypatch.setattr(leases, "_highest", lambda folder, real=leases._highest: views.pop() if views else real(folder))
    assert acquire(run) is None
    assert holder_of(run).process == newest.popen.pid


@pytest.fixture
def elsewhere(run):
    """The lease of another machine, whose process has a number that is used on this one."""
    lease = acquire(run)
    edit(lease.path, machine="elsewhere/1-2-3", host="elsewhere")
    return lease


def test_another_machine_is_alive_while_it_sends_heartbeats(run, elsewhere):
    age(elsewhere.path, DEAD_AFTER - 5)
    assert holder_of(run).host == "elsewhere"
    assert acquire(run) is None


def test_another_machine_whose_clock_is_ahead_is_alive(run, elsewhere):
    age(elsewhere.path, -DEAD_AFTER / 2)
    assert acquire(run) is None


def test_another_machine_is_dead_without_heartbeats(run, elsewhere):
    age(elsewhere.path, DEAD_AFTER + 5)
    assert (holder_of(run), is_leased(run)) == (None, False)
    assert acquire(run).number == 1


@pytest.mark.parametrize("ahead", [-3600, 3600])
def test_a_clock_of_our_own_that_is_wrong_takes_no_run_from_a_live_process(run, elsewhere, monkeypatch, ahead):
    """Heartbeats have the time of the file system; so has what they are compared with."""
    right = time.time
    monkeypatch.setattr("bakeoff.runs.lease.time.time", lambda: right() + ahead)
    assert acquire(run) is None
    then = right() - DEAD_AFTER - 5
    os.utime(elsewhere.path, (then, then))
    assert acquire(run).number == 1
    assert {path.name for path in run.iterdir()} == {"lease.0", "lease.1"}


def test_who_was_thought_dead_finds_out(run, elsewhere):
    age(elsewhere.path, DEAD_AFTER + 5)
    successor = acquire(run)
    assert successor.is_held()
    assert not elsewhere.is_held()
    elsewhere.release()
    assert successor.is_held()
    successor.release()
    assert not elsewhere.is_held()  # also when the other has come to its end


def test_who_was_thought_dead_and_ends_first_leaves_the_other_be(run, elsewhere):
    age(elsewhere.path, DEAD_AFTER + 5)
    successor = acquire(run)
    fresh = leases.Lease(run, 0, elsewhere.holder)  # it has not looked yet
    fresh.release()
    assert successor.is_held()
    assert holder_of(run).token == successor.holder.token


def test_a_number_of_a_process_that_is_used_again(run):
    lease = acquire(run)
    edit(lease.path, since=lease.holder.since - 1000)
    assert not is_leased(run)
    assert acquire(run).number == 1


def test_a_clock_that_is_set_kills_nobody(run, start, monkeypatch):
    """psutil adds the time of the boot, which moves with the clock, to the kernel's time since the boot."""
    (process,) = start()
    process.acquire(run)
    later = psutil.boot_time() + 3600
    monkeypatch.setattr("psutil._psplatform.boot_time", lambda: later)
    assert holder_of(run).process == process.popen.pid


DAMAGED = {
    "empty": "",
    "half": '{"host": "h", "proc',
    "a list": "[1]",
    "other fields": '{"host": "h"}',
    "wrong types": '{"host": "h", "process": "7", "machine": "m", "since": 1.0, "token": "t"}',
    "binary": b"\x80\xff\x00",
    "nested": "[" * 100_000,
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_a_lease_that_cannot_be_read_counts_while_it_is_young(run, content):
    run.mkdir(parents=True)
    path = run / "lease.3"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert (holder_of(run), is_leased(run)) == (None, True)
    assert acquire(run) is None
    age(path, DEAD_AFTER + 5)
    assert not is_leased(run)
    assert acquire(run).number == 4


@pytest.mark.parametrize("process", [0, -1, 10**12])
def test_numbers_that_no_process_has(run, process):
    edit(acquire(run).path, process=process)
    assert acquire(run).number == 1


@pytest.mark.parametrize("name", ["lease.", "lease.x", "lease.007", "lease.٣", "lease.²", "leases"])
def test_other_names_are_no_leases(run, name):
    run.mkdir(parents=True)
    (run / name).write_text("")
    assert not is_leased(run)
    assert acquire(run).number == 0


@pytest.mark.parametrize("kind", ["link to nothing", "folder"])
def test_what_is_no_file_is_waited_for_by_nobody(run, kind):
    run.mkdir(parents=True)
    if kind == "folder":
        (run / "lease.0").mkdir()
        age(run / "lease.0", DEAD_AFTER + 5)
        assert acquire(run).number == 1
    else:
        (run / "lease.0").symlink_to("nothing")
        assert (is_leased(run), acquire(run)) == (False, None)


def test_a_lease_is_lost_with_its_file(run):
    lease = acquire(run)
    lease.path.unlink()
    assert not lease.is_held()
    assert lease.lost
    lease.release()


def test_a_folder_that_vanished_is_given_back_without_a_word(run):
    lease = acquire(run)
    lease.start_heartbeat()
    lease.path.unlink()
    run.rmdir()
    assert not lease.is_held()
    lease.release()
    assert not run.exists()


def test_what_cannot_be_looked_at_is_not_lost(run, monkeypatch):
    lease = acquire(run)

    def refuse(*_):
        raise OSError(24, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(os, "listdir", refuse)
        assert lease.is_held()
        assert not is_leased(run)  # who only looks is told nothing
        with pytest.raises(OSError, match="Too many open files"):
            acquire(run)
    with monkeypatch.context() as patch:
        patch.setattr("pathlib.Path.read_text", refuse)
        assert lease.is_held()
    lease.path.write_text('{"torn')
    assert lease.is_held()
    lease.release()
    assert not is_leased(run)


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        acquire(tmp_path / "file" / "seed=0")
    assert not is_leased(tmp_path / "file")


def test_a_lease_that_cannot_be_written_leaves_nothing(run, monkeypatch):
    def refuse(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", refuse)
        with pytest.raises(OSError, match="No space"):
            acquire(run)
    assert list(run.iterdir()) == []
    assert acquire(run).number == 0


@pytest.fixture
def fast_heartbeat(monkeypatch):
    monkeypatch.setattr(leases, "HEARTBEAT_INTERVAL", 0.01)


def wait_for(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_the_heartbeat_writes_the_fraction_done(run, fast_heartbeat):
    spent = [0.25]
    with acquire(run) as lease:
        lease.start_heartbeat(lambda: spent[0])
        age(lease.path, 1000)
        wait_for(lambda: holder_of(run).fraction_done == 0.25)
        assert lease.path.stat().st_mtime > time.time() - 60
        for fraction, written in ((2 / 3, 0.6667), (1.0, 1.0), (1.5, 1.0), (-1.0, 0.0), (math.nan, 0.0), (0.5, 0.5)):
            spent[0] = fraction
            wait_for(lambda written=written: holder_of(run).fraction_done == written)
    assert list(run.iterdir()) == []
    assert "heartbeat" not in {thread.name for thread in threading.enumerate()}


def test_an_unknown_fraction_does_not_stop_the_heartbeat(run, fast_heartbeat):
    asked = []

    def fraction():
        asked.append(1)
        if len(asked) == 1:
            return 0.5
        raise RuntimeError("no trainer yet")

    with acquire(run) as lease:
        lease.start_heartbeat(fraction)
        wait_for(lambda: len(asked) > 1)
        age(lease.path, 1000)
        wait_for(lambda: lease.path.stat().st_mtime > time.time() - 60)
        assert holder_of(run).fraction_done == 0.5


def test_the_heartbeat_writes_nothing_after_another_took_over(run, fast_heartbeat):
    lease = acquire(run)
    edit(lease.path, machine="elsewhere")
    age(lease.path, DEAD_AFTER + 5)
    successor = acquire(run)
    lease.start_heartbeat(lambda: 0.9)
    wait_for(lambda: lease.lost)
    lease.release()
    assert (holder_of(run).token, successor.is_held()) == (successor.holder.token, True)
    assert json.loads(lease.path.read_text())["fraction_done"] == 0


def test_readers_meet_whole_leases_during_heartbeats(run, monkeypatch):
    monkeypatch.setattr(leases, "HEARTBEAT_INTERVAL", 0.0001)
    fractions = iter([0.1, 0.12345, 1.0, 0.0] * 10**6)
    with acquire(run) as lease:
        lease.start_heartbeat(lambda: next(fractions))
        until = time.monotonic() + 1
        while time.monotonic() < until:
            assert holder_of(run) is not None
        assert lease.is_held()
