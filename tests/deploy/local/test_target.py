"""The promises of the target ``local``, on real processes and real sockets."""

import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from local_ports import free_port
from probe_endpoint import order_for, processes
from probe_models import fitted, save_model

from modelyard.deploy import (
    DeploymentWithdrawn,
    EndpointBusy,
    RevisionNotReady,
    ServingEnvironmentInvalid,
    SettingInvalid,
    list_endpoints,
    read_endpoint,
    tail_log,
)
from modelyard.deploy.local.locks import FolderLock
from modelyard.deploy.local.records import EndpointFolder
from modelyard.deploy.local.target import LocalTarget
from modelyard.errors import ErrorKind
from modelyard.serving import AddressInvalid, PortTaken

PROBE = Path(__file__).parents[2] / "probes/probe_endpoint.py"
BROKEN = "raise RuntimeError('the steps are broken')"
SLOW = "import time\nprint('starting slowly', flush=True)\ntime.sleep(100)"


def deploy(state: Path, word: str = "one", **changes: Any) -> Any:
    return LocalTarget().deploy(order_for(state, word, **changes))


def ask(url: str, body: Any = None) -> Any:
    return httpx.post(url, json=body, timeout=30).json()


def eventually(condition: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.02)


def test_an_endpoint_answers_and_the_same_revision_again_changes_nothing(state: Path, tmp_path: Path) -> None:
    model = save_model(tmp_path / "model", fitted())
    first = deploy(state, model=model)
    reply = ask(first.url, {"a": 2.0, "b": 0.0, "c": 0.0})
    assert reply["body"]["label"] is True
    assert 0.9 < reply["body"]["probability"] < 1
    assert (first.changed, first.previous) == (True, None)
    description = httpx.get(f"{first.url}/v2").json()
    assert description["revision"] == first.manifest.revision
    assert description["models"] == {
        "delays": {"model": "models:/delays/3", "digest": first.manifest.models["delays"].digest}
    }
    before = processes(state)
    again = deploy(state, model=model)
    assert (again.changed, again.url, again.manifest.revision) == (False, first.url, first.manifest.revision)
    assert processes(state) == before
    assert len(before) == 2


def test_a_new_revision_takes_over_and_the_record_says_so(state: Path) -> None:
    first, second = deploy(state, "one"), deploy(state, "two")
    assert (second.changed, second.previous, second.url) == (True, first.manifest.revision, first.url)
    assert ask(second.url)["word"] == "two"
    record = read_endpoint(state, "delays")
    assert (record.state, record.revision, record.previous) == ("running", second.manifest.revision, second.previous)
    assert [past.revision for past in record.history] == [first.manifest.revision, second.manifest.revision]
    assert (record.graph, record.project, record.url) == ("delays", "probe", second.url)
    assert any("asked to deploy" in line for line in tail_log(state, "delays"))
    back = deploy(state, "one")
    assert (back.changed, back.previous) == (True, second.manifest.revision)
    assert ask(back.url)["word"] == "one"


@contextmanager
def load(url: str, clients: int = 4) -> Iterator[list[httpx.Response | Exception]]:
    """Ask without a pause, from some keep-alive clients, while the block lasts."""
    answers: list[httpx.Response | Exception] = []
    done = threading.Event()

    def run() -> None:
        with httpx.Client(timeout=30) as client:
            while not done.is_set():
                try:
                    answers.append(client.post(url, json={"x": 1}))
                except httpx.HTTPError as error:
                    answers.append(error)

    with ThreadPoolExecutor(clients) as pool:
        running = [pool.submit(run) for _ in range(clients)]
        try:
            yield answers
        finally:
            done.set()
    for each in running:
        each.result()


def _reached(answers: list[Any], least: int) -> bool:
    return len(answers) >= least


def test_a_swap_under_load_fails_no_request(state: Path) -> None:
    url = deploy(state, "0").url
    with load(url) as answers:
        for word in ("1", "2", "3"):
            deploy(state, word)
            assert ask(url)["word"] == word
            eventually(partial(_reached, answers, len(answers) + 100))
    failed = [each for each in answers if isinstance(each, Exception) or each.status_code != 200]
    assert failed == []
    assert len(answers) > 400
    words = {each.json()["word"] for each in answers if isinstance(each, httpx.Response)}
    assert words == {"0", "1", "2", "3"}


def test_requests_under_way_are_finished_by_the_revision_that_has_them(state: Path) -> None:
    url = deploy(state, "one").url
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(ask, url, {"sleep": 1.5})
        eventually(lambda: bool(_established(state)))
        deploy(state, "two")
        assert slow.result()["word"] == "one"
    assert ask(url)["word"] == "two"
    eventually(lambda: len(processes(state, "serving")) == 1)


def _established(state: Path) -> list[Any]:
    workers = processes(state, "serving")
    return [each for worker in workers for each in worker.net_connections("tcp") if each.status == "ESTABLISHED"]


def test_a_revision_that_does_not_get_ready_never_takes_traffic(state: Path) -> None:
    first = deploy(state, "one")
    with load(first.url, clients=1) as answers, pytest.raises(RevisionNotReady) as caught:
        deploy(state, "two", module=BROKEN)
    assert {each.json()["word"] for each in answers if isinstance(each, httpx.Response)} == {"one"}
    assert not any(isinstance(each, Exception) for each in answers)
    error = caught.value
    assert error.error_kind is ErrorKind.USER_CODE
    assert "RuntimeError: the steps are broken" in str(error)
    assert any("RuntimeError: the steps are broken" in line for line in error.facts["log"])
    assert "\n" not in str(error)
    assert read_endpoint(state, "delays").revision == first.manifest.revision
    assert [each.name for each in EndpointFolder(state, "delays").revisions.iterdir()] == [first.manifest.revision]
    assert deploy(state, "three").changed


def test_a_first_revision_that_does_not_get_ready_leaves_nothing(state: Path) -> None:
    with pytest.raises(RevisionNotReady, match="the steps are broken"):
        deploy(state, module=BROKEN)
    assert processes(state) == []
    assert list(state.rglob("*")) == []


def test_a_revision_that_is_too_slow_is_ended_and_its_lines_are_shown(state: Path) -> None:
    for seconds in (1.5, 15, 60):  # on a busy machine the first time is over before the worker says anything
        with pytest.raises(RevisionNotReady, match=rf"too long \(more than {seconds:g} s\)") as caught:
            deploy(state, module=SLOW, timeout=seconds)
        assert caught.value.error_kind is ErrorKind.TIMEOUT
        assert processes(state) == []
        if caught.value.facts["log"]:
            break
    assert caught.value.facts["log"][-1] == "starting slowly"


def test_a_deployment_that_is_interrupted_is_withdrawn(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = deploy(state, "one").url
    target: Any = LocalTarget.deploy.__globals__
    real = target["_ask"]

    def interrupted(folder: EndpointFolder, request: Any, timeout: float) -> Any:
        if request.action == "deploy":
            folder_request = target["write_json"]
            folder_request(folder.request, request)
            eventually(lambda: len(processes(state, "serving")) == 2)
            raise KeyboardInterrupt
        return real(folder, request, timeout)

    monkeypatch.setitem(target, "_ask", interrupted)
    with pytest.raises(KeyboardInterrupt):
        deploy(state, "two", module=SLOW)
    assert ask(url)["word"] == "one"
    assert len(processes(state, "serving")) == 1
    assert any(DeploymentWithdrawn("delays", "x").what[:14] in line for line in tail_log(state, "delays"))


def test_a_crashed_worker_is_started_again(state: Path) -> None:
    url = deploy(state).url
    (worker,) = processes(state, "serving")
    worker.kill()
    eventually(lambda: [each.restarts for each in read_endpoint(state, "delays").workers] == [1])
    eventually(lambda: read_endpoint(state, "delays").state == "running")
    assert ask(url)["word"] == "one"
    assert [each.pid for each in processes(state, "serving")] != [worker.pid]


def test_several_workers_share_the_socket(state: Path) -> None:
    url = deploy(state, settings={"workers": "2"}).url
    assert len(processes(state, "serving")) == 2
    processes(state, "serving")[0].kill()
    assert [ask(url)["word"] for _ in range(20)] == ["one"] * 20
    assert deploy(state, settings={"workers": 1}).changed
    eventually(lambda: len(processes(state, "serving")) == 1)


def test_the_endpoint_survives_the_shell_that_deployed_it(state: Path) -> None:
    shell = subprocess.Popen(
        ["sh", "-c", f"{sys.executable} {PROBE} {state} one; echo deployed; sleep 100"],
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert shell.stdout is not None
    assert shell.stdout.readline() == b"deployed\n"
    os.killpg(shell.pid, signal.SIGKILL)
    shell.wait()
    shell.stdout.close()
    assert ask(read_endpoint(state, "delays").url)["word"] == "one"
    assert [each.is_running() for each in processes(state)] == [True, True]


@pytest.mark.parametrize("round_", range(6))
def test_a_deployer_killed_at_any_moment_and_the_same_again_give_one_endpoint(state: Path, round_: int) -> None:
    deployer = subprocess.Popen([sys.executable, str(PROBE), str(state), "one"])
    # Not a wait for anything: the moment is what varies
    time.sleep(random.Random(round_).uniform(0.1, 1.6))
    deployer.kill()
    deployer.wait()
    done = deploy(state, "one")
    assert ask(done.url)["word"] == "one"
    eventually(lambda: len(processes(state, "serving")) == 1)
    # The killed one's supervisor may have come second: it looks for the lock for a moment, and goes
    eventually(lambda: len(processes(state, "deploy")) == 1)
    folder = EndpointFolder(state, "delays")
    assert [each.name for each in folder.revisions.iterdir()] == [done.manifest.revision]
    assert len(list_endpoints(state)) == 1


def test_workers_end_with_a_killed_supervisor_and_the_next_deployment_repairs(state: Path) -> None:
    first = deploy(state)
    (supervisor,) = processes(state, "deploy")
    supervisor.kill()
    eventually(lambda: processes(state) == [])
    # a killed process loses its name before its locks
    eventually(lambda: read_endpoint(state, "delays").state == "stopped")
    again = deploy(state)
    assert (again.url, again.changed, again.manifest.revision) == (first.url, True, first.manifest.revision)
    assert ask(again.url)["word"] == "one"
    assert len(processes(state)) == 2


def test_a_supervisor_that_is_terminated_finishes_what_is_under_way(state: Path) -> None:
    url = deploy(state).url
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(ask, url, {"sleep": 1.0})
        eventually(lambda: bool(_established(state)))
        processes(state, "deploy")[0].terminate()
        assert slow.result()["word"] == "one"
    eventually(lambda: processes(state) == [])
    assert deploy(state).url == url


def test_a_port_that_is_taken_is_said_and_nothing_is_left(state: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(PortTaken, match=f"the port {port} on 127.0.0.1 is taken. Choose another") as caught:
            deploy(state, port=port)
    assert caught.value.error_kind is ErrorKind.CONFLICT
    assert list(state.rglob("*")) == []
    assert processes(state) == []


def test_an_endpoint_moves_to_another_port_or_stays_where_it_is(state: Path) -> None:
    first = deploy(state)
    free = free_port()
    with socket.create_server(("127.0.0.1", free)), pytest.raises(PortTaken):
        deploy(state, port=free)
    assert ask(first.url)["word"] == "one"
    moved = deploy(state, port=free)
    assert (moved.url, moved.changed) == (f"http://127.0.0.1:{free}", True)
    assert ask(moved.url)["word"] == "one"
    with pytest.raises(httpx.ConnectError):
        ask(first.url)
    assert deploy(state).url == moved.url


def _bindable(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


def test_a_lost_port_of_a_dead_endpoint_is_replaced(state: Path) -> None:
    first = deploy(state)
    processes(state, "deploy")[0].kill()
    eventually(lambda: processes(state) == [])
    port = int(first.url.rpartition(":")[2])
    eventually(lambda: _bindable(port))  # a killed process loses its name before its sockets
    with socket.create_server(("127.0.0.1", port)):
        again = deploy(state)
        assert again.url != first.url
        assert ask(again.url)["word"] == "one"


def test_deployers_take_turns(state: Path) -> None:
    with ThreadPoolExecutor(3) as pool:
        done = list(pool.map(lambda word: deploy(state, word), ("one", "two", "three")))
    record = read_endpoint(state, "delays")
    assert {each.manifest.revision for each in done} == {past.revision for past in record.history}
    assert len(processes(state, "deploy")) == 1
    eventually(lambda: len(processes(state, "serving")) == 1)


def test_a_deployer_waits_only_so_long_for_another(state: Path) -> None:
    lock = FolderLock(EndpointFolder(state, "delays").deploy_lock)
    assert lock.acquire(1)
    with pytest.raises(EndpointBusy, match="endpoint delays: another deployment"):
        deploy(state, timeout=0.1)
    lock.release()


def test_undeploy_leaves_nothing_and_may_be_repeated(state: Path) -> None:
    url = deploy(state).url
    deploy(state, "other", endpoint="other")
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(ask, url, {"sleep": 1.0})
        eventually(lambda: bool(_established(state)))
        assert LocalTarget().undeploy("delays", state, 20)
        assert slow.result()["word"] == "one"
    assert [each.name for each in (state / "endpoints").iterdir()] == ["other"]
    assert [each.name for each in list_endpoints(state)] == ["other"]
    assert not LocalTarget().undeploy("delays", state, 20)
    assert LocalTarget().undeploy("other", state, 20)
    assert processes(state) == []
    assert list(state.rglob("*")) == []


def test_undeploy_ends_a_supervisor_that_does_not_listen(state: Path) -> None:
    deploy(state)
    supervisor = processes(state, "deploy")[0]
    supervisor.suspend()
    assert LocalTarget().undeploy("delays", state, 0.5)
    eventually(lambda: processes(state) == [])
    assert not psutil.pid_exists(supervisor.pid) or supervisor.status() == psutil.STATUS_ZOMBIE


def test_an_endpoint_whose_folder_is_gone_ends_itself(state: Path) -> None:
    deploy(state)
    EndpointFolder(state, "delays").root.rename(state / "moved")
    eventually(lambda: processes(state) == [])


def test_old_revisions_are_cleared_away(state: Path) -> None:
    kept = {"revisions": 5}
    for number in range(8):
        deploy(state, str(number), settings=kept)
    eventually(lambda: len(processes(state, "serving")) == 1)
    deploy(state, "7", settings=kept)
    folder = EndpointFolder(state, "delays")
    history = [past.revision for past in read_endpoint(state, "delays").history]
    assert {each.name for each in folder.revisions.iterdir()} == set(history[-5:])


def test_an_order_that_cannot_be_is_refused_at_once(state: Path) -> None:
    with pytest.raises(SettingInvalid, match=r"deploy\.port: must be from 0 to 65535, got 70000"):
        deploy(state, port=70000)
    with pytest.raises(SettingInvalid, match=r"deploy\.timeout: must be above 0, got 0"):
        deploy(state, timeout=0)
    with pytest.raises(AddressInvalid, match=r"nothing can listen on 203\.0\.113\.1"):
        deploy(state, settings={"host": "203.0.113.1"})
    assert list(state.rglob("*")) == []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"worker": 2}, "deploy.worker: the target local has no setting 'worker'. Did you mean workers?"),
        ({"workers": 0}, "deploy.workers: must be from 1 to 64, got 0."),
        ({"workers": "many"}, "deploy.workers: is a number, or min, max, in_flight and idle, not 'many'."),
        ({"body_limit": 0}, "deploy.body_limit: must be at least 1, got 0."),
    ],
)
def test_settings_are_refused_by_name(state: Path, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingInvalid) as caught:
        deploy(state, settings=settings)
    assert str(caught.value) == message
    assert not state.exists()


def test_an_interpreter_that_is_not_there_is_refused(state: Path) -> None:
    with pytest.raises(ServingEnvironmentInvalid, match="venv/bin/python: there is no such interpreter"):
        deploy(state, settings={"python": "venv/bin/python"})
    assert not state.exists()
