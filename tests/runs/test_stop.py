"""Requests to stop, by real signals."""

import os
import signal
import threading

import pytest

from bakeoff.runs import StopRequest


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_requests_and_the_second_interrupts(number):
    stop, before = StopRequest(), signal.getsignal(number)
    with stop.on_signals():
        os.kill(os.getpid(), number)
        assert stop.requested
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
    assert signal.getsignal(number) is before


def test_another_thread_leaves_signals_alone():
    before, found = signal.getsignal(signal.SIGTERM), []

    def run():
        with StopRequest().on_signals():
            found.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert found == [before]
