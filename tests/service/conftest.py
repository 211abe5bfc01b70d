"""One service with narrow limits for most tests."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from cse.testing.running_service import RunningService

SETTINGS = {
    "max_waiting": 2,
    "wait_limit_s": 1.0,
    "time_limit_s": 3.0,
    "stop_grace_s": 0.5,
    "max_body_mb": 1.5,
    "upload_limit_s": 2.0,
    "max_duration_s": 20.0,
    "max_enrollment_s": 5.0,
    "job_ttl_s": 4.0,
    "max_jobs": 4,
}


@pytest.fixture(scope="session")
def extra() -> None:
    """Skips where the packages of the service are not installed."""
    for package in ("fastapi", "uvicorn", "python_multipart", "prometheus_client"):
        pytest.importorskip(package, reason='needs: pip install "cse[service]"')


@pytest.fixture(scope="session")
def shared_service(extra: None) -> Iterator[RunningService]:
    with RunningService(**SETTINGS) as service:
        yield service.wait_until_ready()


@pytest.fixture
def service(shared_service: RunningService) -> RunningService:
    """The shared service, with all workers there and nothing going on."""
    shared_service.wait_until_ready()
    shared_service.wait_for(
        lambda: shared_service.workers("reading") and shared_service.workers("extracting")
    )
    return shared_service


@pytest.fixture
def no_collector() -> Iterator[None]:
    """What is let go goes at once or never: cycles stay."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()
