"""Workers come and go with the load."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from probe_endpoint import eventually, order_for, processes

from modelyard.deploy import SettingInvalid, read_endpoint
from modelyard.deploy.local.scaling import Scaler
from modelyard.deploy.local.settings import Scale
from modelyard.deploy.local.target import LocalTarget

ASYNC = """
import asyncio
from pathlib import Path

async def answer(body):
    while not Path(body["until"]).exists():
        await asyncio.sleep(0.05)
    return {"word": %r}
"""
TARGET = LocalTarget()


def deploy(state: Path, **workers: Any) -> Any:
    return TARGET.deploy(order_for(state, module=ASYNC, settings={"target": "local", "workers": workers}))


def ask(url: str, until: Path = Path("/")) -> Any:
    return httpx.post(url, json={"until": str(until)}, timeout=120).json()


def test_workers_are_added_under_load_and_end_after_it(state: Path, tmp_path: Path) -> None:
    url = deploy(state, min=1, max=3, in_flight=2, idle=1).url
    assert len(processes(state, "serving")) == 1
    with ThreadPoolExecutor(6) as pool:
        answers = [pool.submit(ask, url, tmp_path / "go") for _ in range(6)]
        eventually(lambda: len(processes(state, "serving")) == 3)
        (tmp_path / "go").touch()
        assert [each.result() for each in answers] == [{"word": "one"}] * 6
    eventually(lambda: len(processes(state, "serving")) == 1)
    assert ask(url) == {"word": "one"}


def test_the_last_worker_ends_and_the_first_request_wakes_the_endpoint(state: Path) -> None:
    url = deploy(state, min=0, max=2, idle=0.5).url
    assert ask(url) == {"word": "one"}
    eventually(lambda: processes(state, "serving") == [])
    assert read_endpoint(state, "delays").state == "idle"
    begun = time.monotonic()
    with ThreadPoolExecutor(5) as pool:
        assert list(pool.map(lambda _: ask(url), range(5))) == [{"word": "one"}] * 5
    assert time.monotonic() - begun < 20
    assert len(processes(state, "deploy")) == 1


def test_somebody_scales_by_hand(state: Path) -> None:
    deploy(state, min=1, max=1)
    assert TARGET.scale("delays", state, {"min": 2, "max": 2})
    eventually(lambda: len(processes(state, "serving")) == 2)
    eventually(lambda: read_endpoint(state, "delays").state == "running")
    assert not TARGET.scale("delays", state, {"min": 2, "max": 2})
    assert read_endpoint(state, "delays").scale == Scale(2, 2)
    with pytest.raises(SettingInvalid, match=r"deploy\.workers\.max: must be from 1 to 64, got 65"):
        TARGET.scale("delays", state, {"max": 65})


def test_a_burst_adds_no_worker_and_the_bounds_hold() -> None:
    scaler = Scaler(Scale(min=2, max=3, in_flight=1), now=0.0)
    assert scaler.wanted(2, in_flight=9, requests=1, now=1.0) == 2
    assert scaler.wanted(2, in_flight=0, requests=1, now=1.2) == 2
    assert scaler.wanted(2, in_flight=9, requests=1, now=1.5) == 2
    assert scaler.wanted(2, in_flight=9, requests=1, now=2.0) == 3
    assert scaler.wanted(3, in_flight=99, requests=1, now=9.0) == 3
    assert scaler.wanted(1, in_flight=0, requests=1, now=9.0) == 2
