"""How the threads of numerical libraries behave in the processes that do the work."""

from collections.abc import MutableMapping

__all__ = ["THREAD_POLICY", "apply_thread_policy"]

THREAD_POLICY = {"OMP_WAIT_POLICY": "PASSIVE"}
"""Variables that OpenMP reads when it is loaded.

By default its threads spin while they wait for each other. On a machine that somebody else uses too, that costs
several times the work itself: histogram gradient boosting scored 29,000 rows in 2.0 s spinning and in 0.5 s waiting, on
two cores with a load of three.
"""


def apply_thread_policy(environment: MutableMapping[str, str]) -> None:
    """Set what of the policy is not set already; before a numerical library is imported.

    Examples
    --------
    >>> variables = {"OMP_WAIT_POLICY": "ACTIVE"}
    >>> apply_thread_policy(variables)
    >>> variables
    {'OMP_WAIT_POLICY': 'ACTIVE'}
    """
    for name, value in THREAD_POLICY.items():
        environment.setdefault(name, value)
