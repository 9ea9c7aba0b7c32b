"""What a task, or a whole DAG run, has to report to people: verdict, metrics, gates, links."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = ["RunReport", "TaskReport", "report_of"]

_MOST_METRICS = 8


@dataclass(frozen=True)
class TaskReport:
    """What one task of ours has published.

    Parameters
    ----------
    task
        Its id.
    operation
        What it does.
    model
        The model that it names; empty if it names none.
    metrics
        Its metrics by name.
    gates
        Its gates, with how each was decided.
    links
        Where people look, by the name of the button in Airflow.
    """

    task: str
    operation: str
    model: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)
    gates: Mapping[str, str] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)

    @property
    def lines(self) -> list[str]:
        """What is said of it in text."""
        told = [f"{name} {value:.4g}" for name, value in self.metrics.items()][:_MOST_METRICS]
        found = [" · ".join(told)] if told else []
        found += [f"gate {gate}: {how}" for gate, how in self.gates.items()]
        found += [f"model {self.model}"] if self.model else []
        return found + [f"{name}: {address}" for name, address in self.links.items()]


@dataclass(frozen=True)
class RunReport:
    """What there is to report.

    Parameters
    ----------
    verdict
        ``succeeded`` or ``failed``.
    dag, run
        Which DAG run.
    task
        The task that it is about; empty if it is about the whole run.
    tries
        Which try of the task it was; 0 for a whole run.
    error
        Why it failed.
    log
        The address of the task's log.
    tasks
        The tasks of ours that have published something.
    """

    verdict: str
    dag: str
    run: str
    task: str = ""
    tries: int = 0
    error: str = ""
    log: str = ""
    tasks: tuple[TaskReport, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return the report for programs."""
        return {**asdict(self), "tasks": [asdict(each) for each in self.tasks]}

    def as_text(self) -> str:
        """Return the report for people.

        Examples
        --------
        >>> tasks = (TaskReport("judge", "evaluate", metrics={"accuracy": 0.91}),)
        >>> print(RunReport("succeeded", "flights", "monday", "judge", 1, tasks=tasks).as_text())
        flights · judge succeeded (run monday)
        accuracy 0.91
        """
        name = f"{self.dag} · {self.task}" if self.task else self.dag
        again = f", try {self.tries}" if self.tries > 1 else ""
        lines = [f"{name} {self.verdict} (run {self.run}{again})"]
        lines += [self.error] if self.error else []
        for each in self.tasks:
            head = [] if self.task or not each.lines else [f"{each.task}:"]
            lines += head + [f"  {line}" if head else line for line in each.lines]
        return "\n".join([*lines, f"log: {self.log}"] if self.log and self.verdict == "failed" else lines)


def report_of(context: Mapping[str, Any]) -> RunReport:
    """Return the report on what a callback is called for.

    Parameters
    ----------
    context
        Airflow's context of the callback: of a task, or of a DAG run, which alone has a ``reason``.
    """
    ti, dag = context.get("ti"), context.get("dag")
    run = str(context.get("run_id") or "")
    dag_id = str(getattr(dag, "dag_id", "") or getattr(ti, "dag_id", ""))
    if "reason" in context or ti is None:
        reason = str(context.get("reason") or "")
        good = reason == "success"
        tasks = tuple(_told(ti, getattr(dag, "tasks", ()))) if ti else ()
        return RunReport("succeeded" if good else "failed", dag_id, run, error="" if good else reason, tasks=tasks)
    error = context.get("exception")
    return RunReport(
        "failed" if error else "succeeded",
        dag_id,
        run,
        str(ti.task_id),
        int(ti.try_number),
        str(error or ""),
        str(getattr(ti, "log_url", "") or ""),
        # Who has failed has published nothing, and Airflow logs each question for what is not there.
        () if error else tuple(_told(ti, [ti.task])),
    )


def _told(ti: Any, tasks: Any) -> Iterator[TaskReport]:
    for task in tasks:
        operation = getattr(task, "operation_name", "")
        if not operation:
            continue
        index = ti.map_index if task.task_id == ti.task_id else -1
        result = _pulled(ti, task.task_id, "return_value", index)
        links = {each.name: _pulled(ti, task.task_id, each.xcom_key, index) for each in task.operator_extra_links}
        if isinstance(result, Mapping):
            yield TaskReport(
                task.task_id,
                operation,
                str(result.get("model") or ""),
                dict(result.get("metrics") or {}),
                {str(gate): str(how) for gate, how in (result.get("gates") or {}).items()},
                {name: str(address) for name, address in links.items() if address},
            )


def _pulled(ti: Any, task_id: str, key: str, index: int) -> Any:
    return ti.xcom_pull(task_ids=task_id, key=key, map_indexes=index)
