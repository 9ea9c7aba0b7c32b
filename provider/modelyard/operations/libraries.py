"""Which extra of ours brings a library."""

import re
from importlib.metadata import PackageNotFoundError, requires

__all__ = ["extra_with"]

_DISTRIBUTIONS = {"sklearn": "scikit-learn", "yaml": "pyyaml", "git": "gitpython", "airflow": "apache-airflow"}
_REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+).*extra == ['\"](\w+)['\"]")


def extra_with(library: str) -> str:
    """Return the extra of modelyard that requires a library, by the name it is imported by; empty if none does.

    Examples
    --------
    >>> extra_with("sklearn"), extra_with("nothing")
    ('ml', '')
    """
    wanted = _DISTRIBUTIONS.get(library, library).replace("_", "-").lower()
    try:
        requirements = requires("modelyard") or []
    except PackageNotFoundError:
        return ""
    for requirement in requirements:
        found = _REQUIREMENT.match(requirement)
        if found and found[1].replace("_", "-").lower() == wanted:
            return found[2]
    return ""
