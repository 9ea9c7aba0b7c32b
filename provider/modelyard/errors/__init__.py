"""The base error, its kinds, and the one table from kind to HTTP, gRPC, exit code and retry decision."""

from modelyard.errors.error import ErrorRecord, ForeignError, ModelyardError, near_name
from modelyard.errors.kind import ErrorKind, Outcome, outcome_of

__all__ = ["ErrorKind", "ErrorRecord", "ForeignError", "ModelyardError", "Outcome", "near_name", "outcome_of"]
