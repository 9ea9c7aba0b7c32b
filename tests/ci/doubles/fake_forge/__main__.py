"""Serves the fake forge until its standard input ends or it is terminated; prints its address as one line of JSON.

::

    PYTHONPATH=tests/ci/doubles python -m fake_forge
    {"url": "http://127.0.0.1:40123", "github": "http://127.0.0.1:40123/github", "gitlab": "…/gitlab/api/v4"}

``GET /_forge/log`` and ``/_forge/state`` tell what was asked and written, ``POST /_forge/faults`` (the fields of
`Fault`) lets something go wrong, ``POST /_forge/requests/7`` sets a pull or merge request.
"""

import json
import sys

from fake_forge.server import serving

if __name__ == "__main__":
    with serving(port=int(sys.argv[1]) if len(sys.argv) > 1 else 0) as running:
        print(json.dumps({"url": running.url, "github": running.github, "gitlab": running.gitlab}), flush=True)
        sys.stdin.read()
