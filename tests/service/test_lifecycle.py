"""The life of a service: who may come in, how it begins, how it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from cse.errors import ConfigError
from cse.service.settings import Settings
from cse.testing.running_service import RunningService

KEYS = ["first-key-of-16-characters", "second-key-of-16-characters"]


@pytest.fixture(scope="module")
def locked(extra):
    """A service with keys whose workers need not be ready."""
    with RunningService(api_keys=KEYS, memory_mb=0.5) as service:
        yield service


@pytest.mark.parametrize(
    "header",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Basic {KEYS[0]}"},
        {"Authorization": "Bearer "},
    ],
)
def test_without_a_valid_key_nobody_comes_in(locked, header):
    for response in (
        locked.post(headers=header),
        locked.get("/v1/models", headers=header),
        locked.get("/metrics", headers=header),
        locked.get("/v1/jobs/x", headers=header),
    ):
        assert response.status_code == 401
        assert response.json()["error"]["code"] == "unauthorized"
        assert response.headers["www-authenticate"] == "Bearer"
    assert locked.get("/healthz").status_code == 200
    assert not any(key in line for line in locked.log for key in KEYS)


def test_all_bodies_together_have_a_limit(locked):
    response = locked.post(file=bytes(2**20), headers={"Authorization": f"Bearer {KEYS[0]}"})
    assert (response.status_code, response.json()["error"]["code"]) == (503, "busy")
    assert int(response.headers["retry-after"]) > 0


def test_jobs_belong_to_the_key_that_submitted_them(locked):
    mine, other = ({"Authorization": f"Bearer {key}"} for key in KEYS)
    job = locked.post("/v1/jobs", headers=mine).json()["id"]
    assert locked.get(f"/v1/jobs/{job}", headers=mine).status_code == 200
    assert locked.get(f"/v1/jobs/{job}", headers=other).status_code == 404
    assert requests.delete(f"{locked.url}/v1/jobs/{job}", headers=other, timeout=30).status_code == 404


def test_without_keys_no_web_page_comes_in(service):
    for headers in (
        {"Host": "rebound.example"},
        {"Host": "[::1"},
        {"Origin": "https://elsewhere.example"},
        {"Origin": "http://["},
        {"Origin": "null"},
    ):
        response = service.post(headers=headers)
        assert (response.status_code, response.json()["error"]["code"]) == (403, "forbidden")
    assert service.post(headers={"Origin": service.url}).status_code == 200


def test_sigterm_finishes_what_runs(extra):
    with RunningService(job_ttl_s=60, shutdown_limit_s=60) as service, ThreadPoolExecutor(1) as pool:
        service.wait_until_ready()
        running = pool.submit(service.post, target="slow:2")
        service.wait_for(lambda: service.metric('cse_workers_busy{role="extracting"}') == 1, limit_s=20)
        job = service.post("/v1/jobs").json()["id"]
        service.terminate()
        service.wait_for(lambda: any("shutting down" in line for line in service.log), limit_s=20)
        assert service.get("/readyz").json() == {"status": "shutting down"}
        refused = service.post()
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "shutting_down")
        assert running.result().status_code == 200
        service.wait_for(lambda: service.get(f"/v1/jobs/{job}").json()["status"] == "succeeded", limit_s=20)
        assert service.wait() == 0


def test_sigterm_does_not_wait_for_ever(extra):
    with RunningService(shutdown_limit_s=0.5) as service:
        service.wait_until_ready()
        service.post("/v1/jobs", target="stuck:60")
        service.terminate()
        assert service.wait(30) == 0


def test_a_second_sigterm_ends_at_once(extra):
    with RunningService() as service:
        service.wait_until_ready()
        service.post("/v1/jobs", target="stuck:60")
        workers = [*service.workers("reading"), *service.workers("extracting")]
        service.terminate()
        service.wait_for(lambda: any("shutting down" in line for line in service.log), limit_s=20)
        service.terminate()
        assert service.wait(20) == 0
        assert not any(_runs(worker) for worker in workers)


def test_workers_end_with_a_service_that_was_killed(extra):
    with RunningService() as service:
        service.wait_until_ready()
        workers = [*service.workers("reading"), *service.workers("extracting")]
        os.kill(service.pid, signal.SIGKILL)
        assert service.wait() == -signal.SIGKILL
        assert len(workers) == 2
        for _ in range(200):
            if not any(_runs(worker) for worker in workers):
                return
            time.sleep(0.05)
        pytest.fail("workers outlived their service")


def _runs(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "no-such-model"], "no such model"),
        (["--host", "0.0.0.0"], "--api-key-file"),
        (["--api-key-file", "/nowhere"], "No such file"),
        (["--workers", "0"], "expected more than 0"),
    ],
)
def test_wrong_options_are_one_line_and_exit_code_2(extra, arguments, message):
    done = subprocess.run(
        [sys.executable, "-m", "cse", "serve", "--port", "0", *arguments],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("cse serve: ")]
    assert len(lines) == 1 and message in lines[0]


def test_keys_are_read_from_a_file(tmp_path, extra):
    from cse.service.auth import read_api_keys

    path = tmp_path / "keys"
    path.write_text(f"# ours\n{KEYS[0]}\n\n  {KEYS[1]}  \n")
    assert read_api_keys(path) == tuple(KEYS)
    path.write_text("# none\n")
    with pytest.raises(ConfigError, match="no API key"):
        read_api_keys(path)


def test_settings_refuse_what_cannot_work():
    with pytest.raises(ConfigError, match="time_limit_s"):
        Settings(time_limit_s=0)
    for name in ("time_limit_s", "max_body_mb", "stop_grace_s", "memory_mb"):
        for value in (float("inf"), float("nan")):
            with pytest.raises(ConfigError, match=f"{name}: got {value}, expected "):
                Settings(**{name: value})
    with pytest.raises(ConfigError, match="16 or more") as caught:
        Settings(api_keys=("short-secret",))
    assert "short-secret" not in str(caught.value)
