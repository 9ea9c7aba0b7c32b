"""Which extra of ours brings a library."""

import re
from importlib.metadata import PackageNotFoundError, requires

__all__ = ["extra_with"]

_DISTRIBUTIONS = {"sklearn": "scikit-learn", "yaml": "pyyaml", "git": "gitpython", "airflow": "apache-airflow"}
_REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+).*extra == ['\"](\w+)['\"]")
_FIRST = ("ml", "serving")


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
    known = [found for each in requirements if (found := _REQUIREMENT.match(each))]
    extras = [found[2] for found in known if found[1].replace("_", "-").lower() == wanted]
    # of several extras the one that most work needs: the small ones bring a library that is rare
    return next((each for each in _FIRST if each in extras), extras[0] if extras else "")
