"""Runs DAGs that wait for assets, as the scheduler would: its own code makes their runs."""

from typing import Any

from airflow_home import DAGS, Runs


def make_known(*dags: Any) -> None:
    """Tell Airflow of DAGs before the assets that they wait for change."""
    from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db

    bag = DagBag(DAGS, collect_dags=False, bundle_name="dags-folder")
    for dag in dags:
        bag.bag_dag(dag)
    sync_bag_to_db(bag, "dags-folder", None)


def events(run: Any) -> dict[str, dict[str, Any]]:
    """Return what the asset events of a run say, by the assets' URIs; the last of each."""
    return dict(all_events(run))


def all_events(run: Any) -> list[tuple[str, dict[str, Any]]]:
    """Return the asset events of a run, the oldest first: the asset's URI, and what the event says."""
    from airflow.models.asset import AssetEvent
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        asked = select(AssetEvent).filter_by(source_run_id=run.run_id, source_dag_id=run.dag_id)
        return [(each.uri, dict(each.extra)) for each in session.scalars(asked.order_by(AssetEvent.id))]


def run_triggered(dag: Any) -> Any:
    """Let the scheduler make the run that the assets have called for, do its tasks, and return it.

    Parameters
    ----------
    dag
        A DAG that is known, is not paused, and waits for assets.
    """
    from airflow.jobs.job import Job
    from airflow.jobs.scheduler_job_runner import SchedulerJobRunner
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from airflow.utils.sqlalchemy import prohibit_commit
    from sqlalchemy import select

    job: Any = Job
    runner: Any = SchedulerJobRunner(job())
    forbid: Any = prohibit_commit
    with create_session() as session, forbid(session) as guard:
        runner._create_dagruns_for_dags(guard, session)
    with create_session() as session:
        run = session.scalars(select(DagRun).filter_by(dag_id=dag.dag_id).order_by(DagRun.id.desc())).first()
        assert run is not None, f"no asset has called for {dag.dag_id}"
        _do_tasks(dag, run, session)
        return run


def _do_tasks(dag: Any, run: Any, session: Any) -> None:
    from airflow.models.serialized_dag import SerializedDagModel
    from airflow.sdk.definitions.dag import _run_task
    from airflow.utils.state import DagRunState, TaskInstanceState

    kept: Any = SerializedDagModel.get(dag.dag_id, session=session)
    run.dag = kept.dag
    run.state = DagRunState.RUNNING
    session.merge(run)
    while run.state == DagRunState.RUNNING:
        session.expire_all()
        due, _ = run.update_state(session=session)
        for each in due:
            each.try_number += 1
            each.state = TaskInstanceState.SCHEDULED
        session.commit()
        assert due or run.state != DagRunState.RUNNING, Runs().states(run)
        for each in due:
            _run_task(ti=each, task=dag.task_dict[each.task_id], run_triggerer=True)
