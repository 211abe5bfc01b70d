"""The service as a process: a socket, uvicorn, and an end that lets finish what runs."""

from __future__ import annotations

import logging
import multiprocessing
import resource
import socket
import sys
import time
from types import FrameType

import uvicorn

from cse.errors import ConfigError, CseError
from cse.service.app import create_app
from cse.service.extracting import Loader
from cse.service.service import Service
from cse.service.settings import LOOPBACK_HOSTS, MB, Settings
from cse.service.timed_headers import timed_headers

log = logging.getLogger("cse.service")


def serve(settings: Settings, loader: Loader, *, host: str, port: int) -> None:
    """Serve until SIGTERM or Ctrl-C; then finish what runs.

    Args:
        settings: Limits.
        loader: Makes the extractor, in every worker.
        host: Address to listen on. One that others can reach needs API keys.
        port: To listen on; 0 takes one that is free.

    Raises:
        ConfigError: The address is open to others and there are no keys, or it cannot be listened on.
        CseError: The model cannot be loaded.
    """
    if not settings.api_keys and host not in LOOPBACK_HOSTS:
        raise ConfigError(
            f"--host: got {host} without API keys, expected {' or '.join(LOOPBACK_HOSTS)}, which only this machine can "
            "reach; give --api-key-file to let others in"
        )
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core dump would leave people's voices on the disk
    with _listen(host, port) as listening:
        app = create_app(settings, loader)
        service: Service = app.state.service
        config = uvicorn.Config(
            app,
            loop="asyncio",
            http=timed_headers(settings.upload_limit_s),
            ws="websockets-sansio" if settings.max_streams else "none",  # reads no further than one message
            ws_max_size=round(settings.max_message_mb * MB),
            ws_per_message_deflate=False,  # a small message could become a large one
            access_log=False,  # the service has its own
            log_config=None,
            log_level="warning",
            server_header=False,
            timeout_keep_alive=10,
            timeout_graceful_shutdown=10,  # for answers on their way; see DrainingServer for the work
        )
        address = f"[{host}]" if ":" in host else host
        log.info("listening on http://%s:%d", address, listening.getsockname()[1])
        try:
            DrainingServer(config, service).run(sockets=[listening])
        finally:
            for worker in multiprocessing.active_children():  # after a second signal
                worker.kill()
    if service.failure is not None:
        raise CseError(str(service.failure))


class DrainingServer(uvicorn.Server):
    """Goes on for a while when it is told to end: what runs finishes, results can be fetched, nothing new begins.

    A second signal ends it at once.

    Args:
        config: Of uvicorn.
        service: What it serves.
    """

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service
        self._end: float | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to end, or end."""
        if self._end is not None:
            self.should_exit = self.force_exit = True
            return
        self._service.admission.close()
        self._end = time.monotonic() + self._service.settings.shutdown_limit_s
        log.info("shutting down: what runs goes on for at most %g s", self._service.settings.shutdown_limit_s)

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second: see whether it is time to go."""
        over = self._end is not None and (self._service.drained or time.monotonic() >= self._end)
        if over or self._service.failure is not None:
            self.should_exit = True
        return await super().on_tick(counter)


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=2048)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"--port: cannot listen on {host}:{port}: {reason}; expected a free one") from error
