"""`kill -9` of a worker, of the launcher, of all of them, at any moment: the same command again loses nothing."""

import signal
import time
from collections import Counter
from contextlib import suppress
from random import Random

import psutil
import pytest

from bakeoff.workers.scheduler import MAX_DEATHS

from .processes import wait_for
from .records import check_whole, completed, in_the_middle, steps_by_process

KINDS = ("a worker", "the launcher", "all")
OFTEN = (4, 1, 1)  # a worker can be killed again and again; after the others the command has to start anew


class Killer:
    """Kills what a sweep's command has started, and gives the command again, until the sweep is whole."""

    def __init__(self, start, sweep, command, draw: Random) -> None:
        self._start, self._sweep, self._command, self._draw = start, sweep, command, draw
        self.kills: Counter[str] = Counter()
        self.commands = self.in_the_middle = 0

    def until_whole(self, most: int) -> None:
        """Kills at most so often."""
        done = completed(self._sweep)
        while True:
            command = self._start(*self._command, f"sweep={self._sweep.name}")
            self.commands += 1
            ended = self._disturb(command, most)
            said = command.wait()
            assert not command.left_over(), "a process outlives the command"
            now = completed(self._sweep)
            assert {path: now.get(path) for path in done} == done, "a completed run was done again"
            done = now
            assert "Traceback" not in said.text, said.text
            if ended:
                assert said.status == 0, said.text
                return

    def _disturb(self, command, most: int) -> bool:
        """Whether the command has ended by itself."""
        workers_killed = 0
        while self.kills.total() < most:
            if not self._moment(command):
                return True
            # a run whose workers die again and again is given up: no more than it takes by accident
            may_be_a_worker = workers_killed < MAX_DEATHS - 1
            (kind,) = self._draw.choices(KINDS, OFTEN if may_be_a_worker else (0, 1, 1))
            busy = len(in_the_middle(self._sweep))
            if not self._kill(kind, command):
                continue
            self.kills[kind] += 1
            self.in_the_middle += busy > 0
            workers_killed += kind == "a worker"
            if kind != "a worker":
                return False
        command.wait()
        return True

    def _moment(self, command) -> bool:
        """Waits until then: while the command starts, or while it trains. False if it has ended before."""
        begun = self._draw.random() < 0.2 or wait_for(
            lambda: in_the_middle(self._sweep) or not command.runs(), strictly=False
        )
        if begun:
            end = time.monotonic() + self._draw.uniform(0, 1.5)
            wait_for(lambda: not command.runs(), end - time.monotonic(), strictly=False)
        return command.runs()

    def _kill(self, kind: str, command) -> bool:
        if kind == "all":
            command.signal(signal.SIGKILL)
        elif kind == "the launcher":
            command.process.kill()
        else:
            workers = command.workers()
            if not workers:
                return False
            with suppress(psutil.NoSuchProcess):
                self._draw.choice(workers).kill()
        return True


def kill_often(kills, seed, start, tmp_path, command, undisturbed) -> str:
    """Sweep after sweep, until so many kills are done; says what was done."""
    draw, total, commands, busy, sweeps, resumed = Random(seed), Counter(), 0, 0, 0, 0
    while total.total() < kills:
        sweep = tmp_path / "outputs" / f"sweep{sweeps}"
        killer = Killer(start, sweep, command, draw)
        killer.until_whole(kills - total.total())
        check_whole(sweep, undisturbed, 8)
        total += killer.kills
        commands, busy, sweeps = commands + killer.commands, busy + killer.in_the_middle, sweeps + 1
        resumed += sum(len(steps_by_process(run)) - 1 for run in sweep.glob("*/seed=*"))
    assert set(total) == set(KINDS)
    return (
        f"{total.total()} kills ({', '.join(f'{total[kind]} of {kind}' for kind in KINDS)}), {busy} while a run "
        f"had a checkpoint; {commands} commands, {sweeps} sweeps of 8 runs; {resumed} times a run went on or began "
        "again; nothing lost, nothing double, every metric and curve bit-equal"
    )


@pytest.mark.long
def test_a_few_kills(start, tmp_path, eight_runs, undisturbed):
    print(kill_often(6, 3, start, tmp_path, eight_runs, undisturbed))


@pytest.mark.long
def test_fifty_kills(start, tmp_path, eight_runs, undisturbed, capsys):
    said = kill_often(50, 0, start, tmp_path, eight_runs, undisturbed)
    with capsys.disabled():
        print(f"\n{said}")
