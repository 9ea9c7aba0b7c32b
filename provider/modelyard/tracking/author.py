"""Who is at work: for the runs and promotions that a person answers for."""

import getpass
import os

__all__ = ["author"]

_VARIABLES = ("MODELYARD_USER", "GITHUB_ACTOR", "GITLAB_USER_LOGIN", "BUILD_USER_ID")


def author() -> str:
    """Return the person: what ``MODELYARD_USER`` or the CI host says, else the name of the system's user."""
    for variable in _VARIABLES:
        if os.environ.get(variable):
            return os.environ[variable]
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"
