"""Jobs: submit, look, listen, delete; one job for a key; forgotten in time."""

from __future__ import annotations

import base64
import time

import pytest
import requests

from cse.testing.running_service import tones


def submit(service, **options):
    response = service.post("/v1/jobs", **options)
    assert response.status_code == 202, response.text
    return response.json()["id"]


def status(service, job):
    return service.get(f"/v1/jobs/{job}").json()["status"]


def delete(service, job):
    return requests.delete(f"{service.url}/v1/jobs/{job}", timeout=30).status_code


@pytest.fixture(autouse=True)
def no_jobs_left(service):
    """A test begins without the jobs of the one before it."""
    service.wait_for(lambda: service.metric("cse_jobs") == 0, limit_s=30)


def test_a_job_runs_and_its_result_can_be_fetched_until_it_expires(service):
    response = service.post("/v1/jobs", response_format="wav")
    job = response.json()["id"]
    assert response.headers["location"] == f"/v1/jobs/{job}"
    assert job.startswith(response.headers["x-cse-replica"])
    service.wait_for(lambda: status(service, job) == "succeeded", limit_s=20)
    found = service.get(f"/v1/jobs/{job}").json()
    assert found["error"] is None and found["expires"] > time.time()
    voice = service.get(f"/v1/jobs/{job}/audio")
    assert voice.headers["content-type"] == "audio/wav"
    assert base64.b64decode(found["result"]["audio"]["data"]) == voice.content
    assert service.metric("cse_held_bytes") >= len(voice.content)
    service.wait_for(lambda: service.get(f"/v1/jobs/{job}").status_code == 404, limit_s=20)
    assert service.metric("cse_held_bytes") == 0


def test_the_same_key_and_request_give_the_same_job(service):
    headers = {"Idempotency-Key": "note 17"}
    first = service.post("/v1/jobs", headers=headers)
    second = service.post("/v1/jobs", headers=headers)
    assert first.json()["id"] == second.json()["id"]
    assert second.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers
    other = service.post("/v1/jobs", headers=headers, file=tones(1.5))
    assert (other.status_code, other.json()["error"]["code"]) == (422, "idempotency_key_reused")
    assert submit(service) != submit(service)
    too_long = service.post("/v1/jobs", headers={"Idempotency-Key": "x" * 300})
    assert too_long.json()["error"]["code"] == "invalid_request"


def test_a_job_that_fails_says_why(service):
    job = submit(service, file=b"no audio")
    service.wait_for(lambda: status(service, job) == "failed", limit_s=20)
    found = service.get(f"/v1/jobs/{job}").json()
    assert found["error"]["code"] == "invalid_audio" and found["result"] is None
    assert service.get(f"/v1/jobs/{job}/audio").json()["error"]["code"] == "invalid_audio"


def test_a_running_job_can_be_deleted_and_frees_its_worker(service):
    job = submit(service, target="slow:60")
    service.wait_for(lambda: service.metric('cse_workers_busy{role="extracting"}') == 1, limit_s=20)
    assert status(service, job) == "running"
    assert service.get(f"/v1/jobs/{job}/audio").json()["error"]["code"] == "not_finished"
    assert delete(service, job) == 204
    assert delete(service, job) == 404
    assert service.get(f"/v1/jobs/{job}").json()["error"]["code"] == "not_found"
    assert service.post().status_code == 200


def test_the_queue_has_an_end(service):
    jobs = [submit(service, target="slow:60") for _ in range(3)]  # one works, two wait
    assert [status(service, job) for job in jobs[1:]] == ["queued", "queued"]
    for refused in (service.post(), service.post("/v1/jobs")):
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "busy")
        assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert delete(service, jobs[2]) == 204
    late = service.post()  # finds a place, but not in time a worker
    assert (late.status_code, late.json()["error"]["code"]) == (503, "busy")
    for job in jobs[:2]:
        assert delete(service, job) == 204
    assert service.post().status_code == 200


def test_so_many_jobs_are_kept_and_no_more(service):
    for _ in range(4):
        job = submit(service)
        service.wait_for(lambda job=job: status(service, job) == "succeeded", limit_s=20)
    assert service.post("/v1/jobs").json()["error"]["code"] == "busy"
