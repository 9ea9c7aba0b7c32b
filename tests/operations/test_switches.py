import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from modelyard.operations.errors import CancelRequested
from modelyard.operations.switches import SignalSwitch, ThreadSwitch

STUBBORN = """
import os, signal, sys, time
from modelyard.operations.errors import CancelRequested
from modelyard.operations.switches import SignalSwitch
switch = SignalSwitch()
switch.install()
if sys.argv[1] == "early":
    switch.press()
    print("still here", flush=True)
try:
    with switch.armed():
        print("armed", flush=True)
        try:
            time.sleep(60)
        except Exception:
            print("swallowed", flush=True)
except CancelRequested:
    os.kill(os.getpid(), signal.SIGTERM)
    print("cleaned up", flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_unwinds_the_main_thread_once_and_no_handler_of_errors_stops_it(number: signal.Signals) -> None:
    with subprocess.Popen([sys.executable, "-c", STUBBORN, ""], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"armed\n"
        process.send_signal(number)
        assert process.stdout.read() == b"cleaned up\n"
    assert process.returncode == 0


def test_a_signal_that_came_early_stops_the_work_before_it_begins() -> None:
    ran = subprocess.run([sys.executable, "-c", STUBBORN, "early"], capture_output=True, check=True)
    assert ran.stdout == b"still here\ncleaned up\n"


def test_a_thread_is_stopped_between_two_steps() -> None:
    switch, running, told = ThreadSwitch(), threading.Event(), []

    def work() -> None:
        try:
            with switch.armed():
                running.set()
                while True:
                    time.sleep(0.001)
        except CancelRequested:
            told.append("stopped")

    thread = threading.Thread(target=work)
    thread.start()
    running.wait()
    switch.press()
    switch.press()
    thread.join(60)
    assert told == ["stopped"]


def test_pressing_after_the_work_harms_nobody() -> None:
    switch = ThreadSwitch()
    with switch.armed():
        pass
    switch.press()
    assert sum(range(1000)) == 499500


def test_pressing_before_the_work_keeps_it_from_beginning() -> None:
    switch = ThreadSwitch()
    switch.press()
    with pytest.raises(CancelRequested), switch.armed():
        pytest.fail("it began")


def test_a_thread_that_ends_while_it_is_pressed_never_hears_of_it() -> None:
    for _ in range(300):
        switch = ThreadSwitch()
        presser = threading.Thread(target=switch.press)
        stopped = False
        try:
            with switch.armed():
                presser.start()
        except CancelRequested:
            stopped = True
        presser.join()
        # Whichever it was: the rest of this thread runs undisturbed.
        assert isinstance(stopped, bool)


def test_the_signal_switch_presses_its_own_process(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda pid, number: sent.append((pid, number)))
    SignalSwitch().press()
    assert sent == [(os.getpid(), signal.SIGTERM)]
