"""Several replicas of the service under Ray Serve, which balances between them; they share nothing.

A file `deployment.py`, to be run with `serve run deployment:application`:

    from cse import Extractor
    from cse.service.replicas import ray_application
    from cse.service.settings import Settings

    application = ray_application(Settings(), Extractor.from_pretrained, replicas=2)

Set RAY_worker_niceness=0 where Ray is started: else everything in a replica runs at the lowest priority (15).

A job is known to the replica that took it, and to no other; Ray Serve sends every request to any of them. So behind
it use `/v1/audio/extractions`. A load balancer that keeps a client at one replica (by its address or by a cookie, or by
what job ids begin with, the header X-CSE-Replica) can have jobs too.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from cse.errors import MissingExtraError
from cse.service.app import create_app
from cse.service.extracting import Loader
from cse.service.settings import Settings


def ray_application(
    settings: Settings, loader: Loader, *, replicas: int, cores: float = 1.0, gpus: float = 0.0
) -> Any:
    """An application for `ray.serve.run`, each of whose replicas is a whole service with workers of its own.

    Args:
        settings: Of each replica.
        loader: Makes the extractor, in every worker; can be pickled.
        replicas: How many.
        cores: That Ray reserves for one.
        gpus: That Ray reserves for one, and shows to its workers.

    Raises:
        MissingExtraError: Ray Serve is not installed.
    """
    if find_spec("ray") is None or find_spec("aiohttp_cors") is None:
        raise MissingExtraError(feature="replicas under Ray Serve", extra="ray", package="ray[serve]")
    from ray import serve

    def build() -> Any:
        return create_app(settings, loader)

    deployment = serve.deployment(
        num_replicas=replicas,
        ray_actor_options={"num_cpus": cores, "num_gpus": gpus},
        # the service has a queue of its own, and says 503 when that is full
        max_ongoing_requests=1000,
        graceful_shutdown_timeout_s=settings.shutdown_limit_s,
    )
    return deployment(serve.ingress(build)()).bind()
