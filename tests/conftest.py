"""What must be settled before pytest looks into the folders of tests.

For a test in a folder named ``airflow`` pytest asks for a module ``airflow.…``, which imports the real Airflow, which
reads its settings: those of the tests come first.
"""

import os
import signal
from importlib.util import find_spec

import httpx
from hypothesis import HealthCheck, settings

HAS_AIRFLOW = find_spec("airflow") is not None
HAS_KFP = find_spec("kfp") is not None

pytest_plugins = ["airflow_home", "model_registry"] if HAS_AIRFLOW else []
collect_ignore = [
    *([] if HAS_AIRFLOW else ["airflow", "operators/airflow"]),
    *([] if HAS_KFP else ["operators/kfp", "contract/workflows/test_kfp.py", "workflows/engines/test_kfp.py"]),
]

# A shell without job control has its background jobs ignore SIGINT, and so would every command that the tests
# interrupt: an ignored signal is inherited.
signal.signal(signal.SIGINT, signal.default_int_handler)

# What is drawn is the same in each run, and takes as long as it takes; make soak draws anew.
settings.register_profile(
    "tests",
    deadline=None,
    derandomize="MODELYARD_FUZZ_SECONDS" not in os.environ,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("tests")

# On a busy machine an answer may take longer than the five seconds that clients of tests would wait for it.
httpx.Client.__init__.__kwdefaults__["timeout"].read = 60
