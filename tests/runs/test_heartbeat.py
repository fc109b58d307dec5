"""One thread a process, whatever the number of leases."""

import os
import threading
import time
from functools import partial

import pytest

from bakeoff.runs import lease as leases
from bakeoff.runs.heartbeat import Heartbeat
from bakeoff.runs.lease import acquire, holder_of


class Beats:
    def __init__(self, fails=False):
        self.count, self.fails = 0, fails

    def renew(self):
        self.count += 1
        if self.fails:
            raise RuntimeError("whatever")


def wait_for(condition):
    ends = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.005)


def threads():
    return [thread for thread in threading.enumerate() if thread.name == "heartbeat"]


@pytest.fixture
def heartbeat():
    return Heartbeat()


def test_all_beat_in_one_thread_which_ends_with_the_last(heartbeat):
    many = [Beats() for _ in range(20)]
    for beats in many:
        heartbeat.add(beats, 0.005)
    assert len(threads()) == 1
    wait_for(lambda: all(beats.count > 2 for beats in many))
    for beats in many:
        heartbeat.remove(beats)
    assert threads() == []
    counts = [beats.count for beats in many]
    time.sleep(0.05)
    assert [beats.count for beats in many] == counts
    heartbeat.add(many[0], 0.005)  # and starts again
    wait_for(lambda: many[0].count > counts[0])
    heartbeat.remove(many[0])
    heartbeat.remove(many[0])  # twice does no harm
    assert threads() == []


def test_one_that_fails_does_not_stop_the_others(heartbeat):
    bad, good = Beats(fails=True), Beats()
    heartbeat.add(bad, 0.005)
    heartbeat.add(good, 0.005)
    wait_for(lambda: good.count > 3)
    assert bad.count > 1
    heartbeat.remove(bad)
    heartbeat.remove(good)


def test_a_hundred_leases_have_one_thread(tmp_path, monkeypatch):
    monkeypatch.setattr(leases, "HEARTBEAT_INTERVAL", 0.01)
    held = [acquire(tmp_path / str(number)) for number in range(100)]
    for number, lease in enumerate(held):
        lease.start_heartbeat(partial(float, number / 100))
    assert len(threads()) == 1
    wait_for(lambda: all(holder_of(lease.folder).fraction_done == n / 100 for n, lease in enumerate(held)))
    for lease in held:
        lease.release()
    assert threads() == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_process_begins_with_an_empty_heartbeat(heartbeat):
    ours = Beats()
    heartbeat.add(ours, 0.005)
    child = os.fork()
    if child == 0:
        own = Beats()
        heartbeat.add(own, 0.005)
        ends = time.monotonic() + 60
        while own.count < 3 and time.monotonic() < ends:
            time.sleep(0.005)
        os._exit(0 if own.count >= 3 and heartbeat._leases == [own] else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    heartbeat.remove(ours)
