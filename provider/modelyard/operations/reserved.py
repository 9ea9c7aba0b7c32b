"""Parameter names that some front door keeps for itself."""

from modelyard.operations.errors import DeclarationInvalid

__all__ = ["COMMON_PARAMETERS", "check_name"]

COMMON_PARAMETERS = ("project", "environment", "key", "launcher", "python", "result_file", "json", "debug")
"""What every door adds to every operation."""

_RESERVED = {
    "airflow": (
        "add_inlets add_outlets allow_nested_operators as_setup as_teardown conn_id dag dag_id default_args defer "
        "deferrable depends_on_past deps deserialization_allowed_class_fields do_xcom_push doc doc_json doc_md "
        "doc_rst doc_yaml downstream_list downstream_task_ids dry_run email email_on_failure email_on_retry "
        "end_date execute execute_complete execution_timeout executor executor_config expand_start_trigger_args "
        "extra_links failure get_closest_mapped_task_group get_dag get_direct_relative_ids get_direct_relatives "
        "get_flat_relative_ids get_flat_relatives get_needs_expansion get_openlineage_facets_on_complete "
        "get_openlineage_facets_on_failure get_openlineage_facets_on_start get_serialized_fields get_template_env "
        "get_upstreams_follow_setups get_upstreams_only_setups get_upstreams_only_setups_and_teardowns group_id "
        "has_dag has_on_execute_callback has_on_failure_callback has_on_retry_callback has_on_skipped_callback "
        "has_on_success_callback has_retry_policy ignore_first_depends_on_past inherits_from_empty_operator "
        "inherits_from_skipmixin inlets is_async is_mapped is_setup is_teardown iter_mapped_dependants "
        "iter_mapped_task_groups label leaves log log_format logger logger_name map_index_template "
        "max_active_tis_per_dag max_active_tis_per_dagrun max_retry_delay multiple_outputs node_id "
        "on_execute_callback on_failure_callback on_failure_fail_dagrun on_kill on_retry_callback "
        "on_skipped_callback on_success_callback operation_name operator_class operator_extra_links operator_name "
        "outlets output overwrite_rtif_after_execution owner params partial poke pool pool_slots post_execute "
        "pre_execute prepare_for_execution prepare_template priority_weight queue render_template "
        "render_template_as_native_obj render_template_fields reschedule resolve_template_files resources "
        "result_fields resume_execution retries retry_delay retry_exponential_backoff retry_policy "
        "returns_dag_result roots run_as_user same_host serialize_for_task_group set_downstream set_upstream "
        "shallow_copy_attrs sla start_date start_from_trigger start_trigger_args supports_lineage "
        "task_concurrency task_display_name task_group task_id task_type template_ext template_fields "
        "template_fields_renderers tracking trigger_rule ui_color ui_fgcolor unmap update_relative upstream_list "
        "upstream_task_ids valid_modes wait_for_completion wait_for_downstream "
        "wait_for_past_depends_before_skipping weight_rule"
    ),
    "kfp": "Output Input exact library step workflow_run",
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
