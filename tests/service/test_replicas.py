"""Two replicas under Ray Serve on this machine: both answer, neither knows of the other."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec

import pytest

from cse.engines.ray import _LOCAL

pytestmark = pytest.mark.slow

# in a process of its own, in which Ray may open what connections it wants
_SCRIPT = """
import json, logging, os, socket, sys, time
import ray, requests
from ray import serve
from cse.service.replicas import ray_application
from cse.service.settings import Settings
from cse.testing.running_service import MESSAGES, tones
from cse.testing.serving import load

with socket.create_server(("127.0.0.1", 0)) as free:
    port = free.getsockname()[1]
ray.init(address="local", num_cpus=2, include_dashboard=False, logging_level=logging.ERROR, log_to_driver=False)
serve.start(http_options={"host": "127.0.0.1", "port": port})
serve.run(ray_application(Settings(), load, replicas=2, cores=0.5))
url = f"http://127.0.0.1:{port}"
ready, answers = set(), []
end = time.monotonic() + 240
while len(ready) < 2 and time.monotonic() < end:
    answer = requests.get(f"{url}/readyz", timeout=60)
    if answer.status_code == 200:
        ready.add(answer.headers["x-cse-replica"])
    time.sleep(0.05)
for _ in range(40):
    answer = requests.post(
        f"{url}/v1/audio/extractions", files={"file": tones(), "messages": (None, MESSAGES)}, timeout=120
    )
    answers.append((answer.status_code, answer.headers["x-cse-replica"]))
refused = requests.post(f"{url}/v1/audio/extractions", files={"file": b"no audio", "history": (None, "Hi")}, timeout=60)
print(json.dumps({"ready": sorted(ready), "answers": answers, "refused": refused.json()["error"]["code"]}))
serve.shutdown()
ray.shutdown()
"""


@pytest.mark.skipif(
    find_spec("ray") is None or find_spec("aiohttp_cors") is None, reason='needs: pip install "ray[serve]"'
)
def test_two_replicas_share_the_requests_and_nothing_else(extra):
    patience = {
        "RAY_worker_niceness": "0",  # else 15, also for the workers of the replicas
        "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "120",
        "RAY_SERVE_PROXY_HEALTH_CHECK_TIMEOUT_S": "120",
    }
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
        env={**os.environ, **_LOCAL, **patience},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    # Ray talks there too
    found = json.loads(next(line for line in done.stdout.splitlines() if line.startswith("{")))
    assert len(found["ready"]) == 2
    assert [status for status, _ in found["answers"]] == [200] * 40
    assert {replica for _, replica in found["answers"]} == set(found["ready"])
    assert found["refused"] == "invalid_audio"
