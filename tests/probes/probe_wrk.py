"""Load on an endpoint by wrk, which others wrote; every answer is looked at."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

__all__ = ["Asked", "Load", "find_wrk"]

THREADS = 2
SCRIPT = """
local bodies = {%(bodies)s}
local expected = {%(expected)s}
local threads = {}

function setup(thread)
  thread:set("number", #threads)
  table.insert(threads, thread)
end

function init(args)
  answered, wrong, first = 0, 0, ""
  local turn = number %% #bodies + 1
  wanted = expected[turn]
  written = wrk.format("POST", wrk.path, {["content-type"] = "application/json"}, bodies[turn])
end

function request()
  return written
end
%(delay)s
function response(status, headers, body)
  answered = answered + 1
  if status ~= 200 or not string.find(body, wanted, 1, true) then
    wrong = wrong + 1
    if first == "" then first = status .. " " .. body end
  end
end

function done(summary, latency, requests)
  local answered, wrong, first = 0, 0, ""
  for _, thread in ipairs(threads) do
    answered, wrong = answered + thread:get("answered"), wrong + thread:get("wrong")
    first = first .. thread:get("first")
  end
  local lost = summary.errors.connect + summary.errors.read + summary.errors.write
  io.write(string.format("RESULT %%d %%d %%d %%d %%f %%f %%f %%s\\n", answered, wrong, lost, summary.errors.timeout,
    summary.duration / 1e6, latency.mean / 1e6, latency:percentile(99) / 1e6, first))
end
"""
DELAY = """
function delay()
  return math.random(0, %d)
end
"""


class Load(NamedTuple):
    """What wrk saw.

    Parameters
    ----------
    answered, wrong
        How many answers came, and how many of them were not what they should have been.
    lost
        How many connections ended before the answer, or could not be made.
    late
        How many answers took longer than the limit.
    seconds
        How long it asked.
    mean, p99
        The seconds until an answer.
    first
        The first wrong answers.
    """

    answered: int
    wrong: int
    lost: int
    late: int
    seconds: float
    mean: float
    p99: float
    first: str

    @property
    def rate(self) -> float:
        """Answers per second."""
        return self.answered / self.seconds


class Asked:
    """What is asked of an endpoint, and what must come back.

    Parameters
    ----------
    url
        Where.
    folder
        Where wrk's scripts may be written.
    expected
        Body → the text that the answer must hold.
    connections
        How many connections ask, one after the other each.
    """

    def __init__(self, url: str, folder: Path, expected: dict[str, str], connections: int = 32) -> None:
        self._url = url
        self._folder = folder
        self._expected = expected
        self._connections = connections

    def begin(self, seconds: float, pause: float = 0.0) -> "subprocess.Popen[str]":
        """Start to ask, with so many seconds between an answer and the next request on average."""
        script = self._folder / f"load-{pause:.6f}.lua"
        delay = DELAY % round(pause * 2000) if pause else ""
        quoted = {
            "bodies": ", ".join(json.dumps(body) for body in self._expected),
            "expected": ", ".join(json.dumps(text) for text in self._expected.values()),
            "delay": delay,
        }
        script.write_text(SCRIPT % quoted)
        command = [find_wrk(), "--threads", str(THREADS), "--connections", str(self._connections), "--timeout", "20s"]
        return subprocess.Popen(
            [*command, "--duration", f"{max(1, round(seconds))}s", "--script", str(script), self._url],
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, seconds: float, pause: float = 0.0) -> Load:
        """Ask, and return what came of it."""
        return read_load(self.begin(seconds, pause))

    def pause_for(self, part: float) -> float:
        """Return the pause between requests with which the endpoint has such a part of what it can do at most."""
        most = self.ask(3).rate
        wanted = self._connections / (part * most)
        return max(wanted - self.ask(2, wanted).mean, wanted / 10)


def read_load(process: "subprocess.Popen[str]") -> Load:
    """Return what wrk says once it has ended."""
    output = process.communicate()[0]
    line = next((each for each in output.splitlines() if each.startswith("RESULT ")), "")
    assert line, output
    *numbers, first = line.removeprefix("RESULT ").split(" ", 7)
    answered, wrong, lost, late = map(int, numbers[:4])
    seconds, mean, p99 = map(float, numbers[4:])
    return Load(answered, wrong, lost, late, seconds, mean, p99, first)


def find_wrk() -> str:
    """Return wrk's path; skip the test that wants it where there is none."""
    found = shutil.which("wrk")
    if not found:
        pytest.skip("wrk is not installed")
    return found
