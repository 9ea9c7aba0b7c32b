"""The keyword arguments of every operator, as types: what Airflow takes of any task, and what we add."""

from collections.abc import Callable, Collection, MutableMapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal, Required, TypeAlias, TypedDict, TypeVar

from airflow.sdk import DAG, Context, RetryPolicy, TaskGroup, XComArg
from airflow.sdk.definitions.param import DagParam

__all__ = ["LauncherName", "OperationArguments", "TaskArguments", "Templated"]

ValueT = TypeVar("ValueT")

Templated: TypeAlias = ValueT | str | XComArg | DagParam
"""What a templated field takes in a DAG file: a value, a template of it, a task's output, or a parameter of the DAG."""

LauncherName = Literal["process", "inline"]
"""Where the work runs: in a process of its own (in any interpreter), or in the task's."""

Callback: TypeAlias = Callable[[Context], None]


class TaskArguments(TypedDict, total=False):
    """What Airflow's BaseOperator takes."""

    task_id: Required[str]
    allow_nested_operators: bool
    dag: DAG | None
    default_args: dict[str, Any] | None
    depends_on_past: bool
    do_xcom_push: bool
    doc: str | None
    doc_json: str | None
    doc_md: str | None
    doc_rst: str | None
    doc_yaml: str | None
    email: str | Sequence[str] | None
    email_on_failure: bool
    email_on_retry: bool
    end_date: datetime | None
    execution_timeout: timedelta | None
    executor: str | None
    executor_config: dict[str, Any] | None
    ignore_first_depends_on_past: bool
    inlets: Any
    logger_name: str | None
    map_index_template: str | None
    max_active_tis_per_dag: int | None
    max_active_tis_per_dagrun: int | None
    max_retry_delay: timedelta | float | None
    multiple_outputs: bool
    on_execute_callback: Callback | Collection[Callback] | None
    on_failure_callback: Callback | list[Callback] | None
    on_retry_callback: Callback | list[Callback] | None
    on_skipped_callback: Callback | list[Callback] | None
    on_success_callback: Callback | Collection[Callback] | None
    outlets: Any
    owner: str
    params: MutableMapping[str, Any] | None
    pool: str | None
    pool_slots: int
    post_execute: Callable[[Context, Any], None] | None
    pre_execute: Callable[[Context], None] | None
    priority_weight: int
    queue: str
    render_template_as_native_obj: bool | None
    resources: dict[str, Any] | None
    retries: int | None
    retry_delay: timedelta | float
    retry_exponential_backoff: float
    retry_policy: RetryPolicy | None
    run_as_user: str | None
    sla: timedelta | None
    start_date: datetime | None
    task_display_name: str | None
    task_group: TaskGroup | None
    trigger_rule: str
    wait_for_downstream: bool
    wait_for_past_depends_before_skipping: bool
    weight_rule: Any


class OperationArguments(TaskArguments, total=False):
    """What every operator of ours takes besides its operation's parameters; see `OperationOperator`."""

    conn_id: Templated[str]
    project: Templated[str] | None
    environment: Templated[str]
    key: Templated[str]
    launcher: LauncherName
    python: Templated[str]
    deferrable: bool | None
    same_host: bool
    wait_for_completion: bool
