"""Parameter names that some front door keeps for itself."""

from modelyard.operations.errors import DeclarationInvalid

__all__ = ["COMMON_PARAMETERS", "check_name"]

COMMON_PARAMETERS = ("project", "environment", "key", "launcher", "python", "result_file", "json", "debug")
"""What every door adds to every operation."""

_RESERVED = {
    "airflow": (
        "allow_nested_operators conn_id dag dag_id deferrable depends_on_past deps do_xcom_push doc doc_json "
        "doc_md doc_rst doc_yaml downstream_list downstream_task_ids email end_date execute execution_timeout "
        "executor executor_config extra_links group_id has_dag has_on_execute_callback "
        "inherits_from_empty_operator inlets is_mapped is_setup is_teardown label leaves log log_format logger "
        "logger_name map_index_template max_active_tis_per_dag max_active_tis_per_dagrun max_retry_delay "
        "multiple_outputs node_id on_execute_callback on_failure_callback on_failure_fail_dagrun on_retry_callback "
        "on_skipped_callback on_success_callback operator_class operator_extra_links outlets output owner params "
        "pool pool_slots priority_weight queue resources retries retry_delay retry_exponential_backoff "
        "retry_policy roots run_as_user shallow_copy_attrs start_date start_from_trigger start_trigger_args "
        "supports_lineage task_display_name task_group task_id task_type template_ext template_fields "
        "template_fields_renderers trigger_rule ui_color ui_fgcolor upstream_list upstream_task_ids "
        "wait_for_completion wait_for_downstream wait_for_past_depends_before_skipping weight_rule"
    ),
    "kfp": "Output Input",
    "cli": "help version parameters_file quiet verbose",
    "every door": " ".join(COMMON_PARAMETERS),
    "python": "context self cls return",
}
_OWNER = {name: owner for owner, names in _RESERVED.items() for name in names.split()}


def check_name(name: str, where: str) -> None:
    """Refuse a parameter name that a front door keeps for itself.

    Raises
    ------
    DeclarationInvalid
        The name is reserved, or not lower case with underscores.

    Examples
    --------
    >>> check_name("dataset", "train")
    >>> check_name("params", "train")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    modelyard.operations.errors.DeclarationInvalid: train: the name 'params' belongs to airflow. See ...
    """
    if name in _OWNER:
        raise DeclarationInvalid(where, f"the name {name!r} belongs to {_OWNER[name]}")
    if not name.isidentifier() or name != name.lower() or name.startswith("_"):
        raise DeclarationInvalid(where, f"the name {name!r} must be lower case with underscores")
