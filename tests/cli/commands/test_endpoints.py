import json
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from command_lines import Command

from modelyard.cli.commands import endpoints


@pytest.fixture
def deployed(command: Command, shop: Path) -> Iterator[dict[str, Any]]:
    """The shop's graph behind HTTP."""
    ended = command("deploy", "triple", "--json")
    assert ended.code == 0, ended.err
    yield json.loads(ended.out)
    assert command("undeploy", "triple").code == 0


def test_nothing_is_deployed(command: Command, shop: Path) -> None:
    assert command("endpoints", "list").out == "Nothing is deployed: modelyard deploy --help.\n"
    assert command("endpoints", "list", "--json").out == "[]\n"
    assert (command("endpoints", "show", "x").code, command("endpoints", "logs", "x").code) == (3, 3)


def test_what_is_deployed_is_shown(command: Command, deployed: dict[str, Any]) -> None:
    (listed,) = json.loads(command("endpoints", "list", "--json").out)
    assert (listed["name"], listed["state"], listed["url"]) == ("triple", "running", deployed["url"])
    assert deployed["url"] in command("endpoints", "list").out
    shown = json.loads(command("endpoints", "show", "triple", "--json").out)
    assert shown["revision"] == deployed["revision"]
    lines = command("endpoints", "show", "triple").out.splitlines()
    assert f"url          {deployed['url']}" in lines
    assert any(line.startswith(f"{shown['workers'][0]['pid']} ") for line in lines)
    ended = command("endpoints", "show", "tripel")
    assert (ended.code, ended.err) == (3, "error: there is no endpoint 'tripel'. Did you mean triple?\n")


def test_the_log_is_shown_and_followed(
    command: Command, deployed: dict[str, Any], process_environment: dict[str, str]
) -> None:
    lines = json.loads(command("endpoints", "logs", "triple", "--json").out)["lines"]
    assert lines[-1].endswith(f"revision {deployed['revision']} answers")
    assert command("endpoints", "logs", "triple", "--lines", "1").out.splitlines() == lines[-1:]
    following = subprocess.Popen(
        [sys.executable, "-m", "modelyard.cli", "endpoints", "logs", "triple", "--follow", "--lines", "1"],
        env=process_environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert following.stdout is not None
    assert following.stdout.readline() == f"{lines[-1]}\n"
    log = Path(json.loads(command("endpoints", "show", "triple", "--json").out)["log"])
    with log.open("a") as file:
        file.write("one more line\n")
    assert following.stdout.readline() == "one more line\n"
    following.send_signal(signal.SIGINT)
    _, err = following.communicate(timeout=120)
    assert (following.returncode, err.splitlines()[-1]) == (130, "error: stopped by SIGINT.")


def test_a_log_is_followed_from_its_beginning_and_across_rotations(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "log"

    def rotate() -> None:
        with log.open("a") as file:
            file.write("just before\n")
        log.rename(tmp_path / "log.1")
        log.write_text("just after\n")

    def end() -> None:
        raise KeyboardInterrupt

    meanwhile = iter((partial(log.write_text, "first\n"), rotate, end))
    monkeypatch.setattr(endpoints, "time", SimpleNamespace(sleep=lambda _: next(meanwhile)()))
    with pytest.raises(KeyboardInterrupt):
        endpoints._follow(log, 0)
    assert capsys.readouterr().out == "first\njust before\njust after\n"


def test_serve_answers_until_ctrl_c(shop: Path, process_environment: dict[str, str]) -> None:
    serving = subprocess.Popen(
        [sys.executable, "-m", "modelyard.cli", "serve", "triple"],
        env=process_environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert serving.stdout is not None
    said = serving.stdout.readline()
    url = said.split()[3]
    request = urllib.request.Request(url, b'{"x": 5}', {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as reply:
        assert json.load(reply) == {"y": 15}
    serving.send_signal(signal.SIGINT)
    out, err = serving.communicate(timeout=120)
    assert (serving.returncode, out, err) == (0, "triple ended\n", "")


def test_serve_names_an_unknown_graph(command: Command, shop: Path) -> None:
    ended = command("serve", "tripel")
    assert (ended.code, "Did you mean triple?" in ended.err) == (3, True)


@pytest.mark.parametrize("asked", [signal.SIGINT, signal.SIGTERM])
def test_serve_with_several_workers_answers_http_and_grpc_until_it_is_asked_to_end(
    shop: Path, process_environment: dict[str, str], asked: int
) -> None:
    serving = subprocess.Popen(
        [sys.executable, "-m", "modelyard.cli", "serve", "./:triple", "--workers", "2", "--grpc-port", "0"],
        env=process_environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert serving.stdout is not None
    said = serving.stdout.readline()
    assert "and grpc://127.0.0.1:" in said
    request = urllib.request.Request(said.split()[3], b'{"x": 5}', {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as reply:
        assert json.load(reply) == {"y": 15}
    figures, _, at = serving.stdout.readline().rstrip("\n").partition(": ")
    assert figures == "figures of all workers"
    with urllib.request.urlopen(f"{at}/metrics", timeout=60) as reply:
        assert "\nmodelyard_worker_restarts_total 0.0\n" in reply.read().decode()
    serving.send_signal(asked)
    out, _ = serving.communicate(timeout=120)
    assert (serving.returncode, out) == (0, "triple ended\n")
    with pytest.raises(OSError, match="refused"):  # its workers and their supervisor are gone, too
        urllib.request.urlopen(f"{at}/metrics", timeout=60)


def test_an_endpoint_is_scaled_and_rolled_back(command: Command, deployed: dict[str, Any]) -> None:
    assert command("endpoints", "scale", "triple", "--workers", "2").out == "triple has from 2 to 2 workers\n"
    assert json.loads(command("endpoints", "show", "triple", "--json").out)["scale"]["max"] == 2
    assert command("endpoints", "promote", "triple").out == "no revision of triple is being tried\n"
    ended = command("rollback", "triple")
    assert (ended.code, ended.err.splitlines()[-1]) == (
        3,
        "error: endpoint triple: there is no earlier revision. Deploy what shall answer.",
    )
    work = Path("shop/serving.py")
    work.write_text(work.read_text().replace("factor=3", "factor=4"))
    second = json.loads(command("deploy", "triple", "--json").out)
    back = json.loads(command("rollback", "triple", "--json").out)
    assert (back["revision"], back["previous"], back["changed"]) == (deployed["revision"], second["revision"], True)
    shown = command("endpoints", "show", "triple").out
    assert [
        line.split()[3] for line in shown.splitlines() if line.startswith((back["revision"], second["revision"]))
    ] == [
        *("deploy", "deploy", "rollback"),
    ]
