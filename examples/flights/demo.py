"""`make demo`: the flights project from data to served predictions, and a table of what came out.

The same workflow runs as an Airflow DAG (on a throw-away Airflow home, in an environment that knows nothing of machine
learning) or, with ``--engine local``, in the project's own environment. Run it twice to see the second model measured
against the first.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from rich.console import Console
from rich.table import Table

from modelyard.deploy import read_endpoint
from modelyard.errors import ModelyardError
from modelyard.projects.dispatch import acknowledge, dispatch

PROJECT = Path(__file__).parent
REQUESTS = 300
CANARY_SECONDS = 120.0
FLIGHT = {
    "carrier": "EV",
    "origin": "EWR",
    "destination": "ORD",
    "departure": "2013-08-01T17:30",
    "arrival": "2013-08-01T18:55",
    "distance": 719,
    "airport_delay": 35.0,
    "airport_late_share": 0.6,
}
console = Console(highlight=False)

Results = Mapping[str, Mapping[str, Any]]


def main() -> int:
    """Run the workflow, ask the endpoint, show the table, clean up."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", choices=("airflow", "local"), default="airflow")
    parser.add_argument("--airflow-python", default=sys.executable, help="an interpreter with modelyard[airflow]")
    wanted = parser.parse_args()
    keep = bool(os.environ.get("KEEP"))
    begin = time.perf_counter()
    console.rule(f"flights: data → model → endpoint → predictions, on {wanted.engine}")
    try:
        results = on_airflow(wanted.airflow_python) if wanted.engine == "airflow" else on_this_machine()
        latency, reply = asked(endpoint_url(results))
        tried = canary(results)
        console.print(table(results, latency, reply, tried, time.perf_counter() - begin))
    except ModelyardError as error:
        console.print(f"[red]The demo failed:[/] {error}", markup=True)
        return error.outcome.exit_code
    finally:
        if not keep:
            run("undeploy", {"endpoint": "delays"})
    after = f"The endpoint stays up at {endpoint_url(results)}; end it with: modelyard undeploy --endpoint delays"
    console.print(after if keep else "The endpoint is down again (KEEP=1 make demo leaves it up).")
    return 0


def run(operation: str, parameters: dict[str, Any], **options: Any) -> dict[str, Any]:
    """Run one operation of the project here and acknowledge its result."""
    completed = dispatch(operation, parameters, project=str(PROJECT), **options)
    acknowledge(completed)
    return dict(completed.result)


def on_this_machine() -> Results:
    """Run the workflow `main` with the local engine, through the command that a person would type."""
    with tempfile.TemporaryDirectory(prefix="modelyard-demo-") as folder:
        file = Path(folder) / "result.json"
        command = [sys.executable, "-m", "modelyard.cli", "run", "main", "--project", PROJECT, "--result-file", file]
        subprocess.run([str(each) for each in command], check=False)
        outcome = json.loads(file.read_text()) if file.exists() else {}
    if outcome.get("state") != "succeeded":
        raise ModelyardError("the workflow did not succeed", mend="The lines above say which step failed and why.")
    return cast("Results", outcome["result"]["results"])


def on_airflow(python: str) -> Results:
    """Run the DAG in Airflow's own environment, on an Airflow home that is thrown away afterwards."""
    log = PROJECT / ".modelyard" / "demo" / "airflow.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="modelyard-demo-") as home:
        file = Path(home) / "results.json"
        environment = {**os.environ, "AIRFLOW_HOME": home, "MODELYARD_PYTHON": sys.executable}
        command = [python, str(PROJECT / "demo_airflow.py"), str(file), str(log)]
        ended = subprocess.run(command, env=environment, check=False)
        if ended.returncode or not file.exists():
            raise ModelyardError("the DAG did not succeed", mend=f"Airflow's log is {log}.")
        return cast("Results", json.loads(file.read_text()))


def result_of(results: Results, *fields: str) -> Mapping[str, Any]:
    """Return the step's result that has all of the fields."""
    return next(each for each in results.values() if set(fields) <= set(each))


def endpoint_url(results: Results) -> str:
    """Return where the model is served."""
    return str(result_of(results, "endpoint", "url")["url"])


def asked(url: str) -> tuple[float, Any]:
    """Send real requests over one connection; return the median latency in milliseconds and the last reply."""
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "127.0.0.1", address.port, timeout=10)
    body = json.dumps(FLIGHT)
    seconds, reply = [], None
    for _ in range(REQUESTS):
        begin = time.perf_counter()
        connection.request("POST", address.path or "/", body, {"content-type": "application/json"})
        response = connection.getresponse()
        reply = json.loads(response.read())
        seconds.append(time.perf_counter() - begin)
        if response.status != http.client.OK:
            raise ModelyardError(f"the endpoint answered {response.status}: {reply}", where=url)
    connection.close()
    return statistics.median(seconds) * 1000, reply


def canary(results: Results) -> Mapping[str, Any]:
    """Train a second, smaller model, try it on 30 % of the live traffic, and return how that was decided."""
    prepared = next(each["value"] for each in results.values() if "train_rows" in (each.get("value") or {}))
    trained = run(
        "train",
        {
            "function": "delay-trainer",
            "dataset": prepared["train"],
            "label_column": "late",
            "feature_columns": prepared["features"],
            "parameters": {"max_iter": 60},
        },
    )
    version = run("register", {"model": trained["model"], "name": result_of(results, "alias", "gates")["name"]})
    tried = run(
        "deploy",
        {
            "graph": "delays",
            "models": {"model": version["model"]},
            "traffic": {"champion": 70, "challenger": 30},
        },
    )
    deadline = time.monotonic() + CANARY_SECONDS
    while time.monotonic() < deadline:
        asked(tried["url"])
        status = read_endpoint(PROJECT / ".modelyard", tried["endpoint"]).rollout
        if status and status.state != "running":
            return {"model": version["model"], "status": status}
    raise ModelyardError("the canary was not decided in time", where=tried["url"])


def table(results: Results, latency: float, reply: Any, tried: Mapping[str, Any], seconds: float) -> Table:
    """Return what came out, as a table."""
    prepared = next(each["value"] for each in results.values() if "train_rows" in (each.get("value") or {}))
    trained = result_of(results, "run_id", "profile")
    evaluated = result_of(results, "evaluation", "baseline_metrics")
    promoted = result_of(results, "alias", "gates")
    predicted = result_of(results, "rows_per_second")
    shown = Table(title="What came out", show_header=False, title_justify="left", min_width=78)
    shown.add_column(style="bold", no_wrap=True)
    shown.add_column(overflow="fold")
    shown.add_row("flights", f"{prepared['flights']:,}, {prepared['excluded']:,} without an arrival delay excluded")
    shown.add_row("trained on", f"{trained['rows']:,} rows (January to June), {trained['held_out_rows']:,} held out")
    rank = "the first champion" if promoted["first"] else "now champion"
    shown.add_row("model", f"{evaluated['model']}, {rank}")
    shown.add_row("evaluated on", f"{evaluated['rows']:,} rows (July)")
    shown.add_section()
    for name, value in evaluated["metrics"].items():
        champion = evaluated["baseline_metrics"].get(name)
        beside = "" if champion is None else f"   champion {champion:.4f}   {value - champion:+.4f}"
        shown.add_row(f"  {name}", f"{value:.4f}{beside}")
    for gate, outcome in promoted["gates"].items():
        shown.add_row("  gate", f"{gate}: {outcome}")
    shown.add_section()
    shown.add_row("endpoint", endpoint_url(results))
    shown.add_row("latency", f"{latency:.2f} ms, median of {REQUESTS} requests on one connection")
    shown.add_row("one reply", json.dumps(reply))
    status = tried["status"]
    shown.add_row("canary", f"{tried['model']} on 30 % of the traffic: {status.state.replace('_', ' ')}")
    for gate, said in status.gates.items():
        shown.add_row("  gate", f"{gate}: {said}")
    shown.add_row("scored", f"{predicted['rows']:,} rows (August), {predicted['rows_per_second']:,.0f} rows/s")
    report = Path(evaluated["report"])
    shown.add_row("report", os.path.relpath(report))
    shown.add_row("in all", f"{seconds:.0f} s")
    return shown


if __name__ == "__main__":
    sys.exit(main())
