"""The processes of a front: what each is, how many there are, and who notices that one hangs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec
import pytest
from twisted.internet.task import Clock

from splitd.config import Config
from splitd.model.workers import choose_workers
from splitd.workers.head import _plain as plain_settings
from splitd.workers.post import Post, take_post
from splitd.workers.watchdog import Watchdog, patience_of
from storaged.system.cores import usable_cores
from storaged.system.settings import load_settings


def test_a_process_learns_its_post_once_and_others_have_none() -> None:
    assert take_post({}) is None
    post = Post("worker", os.getpid(), 3, "x", 2, 1)
    environment = post.environment({"A": "b"})
    read, write = os.pipe()
    child = os.fork()
    if not child:  # it must not change this process
        taken = take_post(environment)
        os.write(write, repr((taken == post, environment)).encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(write)
    assert os.read(read, 1000) == repr((True, {"A": "b"})).encode()
    os.close(read)


def test_a_process_whose_head_has_ended_ends() -> None:
    child = os.fork()
    if not child:
        take_post(Post("worker", 0, 3, "x", 2, 1).environment({}))
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1


def test_settings_reach_the_processes_as_they_are(tmp_path: Any) -> None:
    config = Config(data="d", registry="r", cluster_key_file="k", workers=2, cors_origins=("*",))  # type: ignore[arg-type]
    path = tmp_path / "settings"
    path.write_bytes(msgspec.json.encode(plain_settings(config)))
    assert load_settings(Config, str(path), {}) == config


def test_there_are_as_many_workers_as_fit_the_machine() -> None:
    found = {cores: choose_workers(cores) for cores in (1, 2, 3, 4, 8, 16, 64)}
    assert found == {1: 1, 2: 1, 3: 1, 4: 2, 8: 4, 16: 8, 64: 8}


def config(**more: Any) -> Config:
    return Config(data="d", registry="r", cluster_key_file="k", **more)


def test_one_process_does_all_where_workers_cannot_be() -> None:
    assert config().count_workers(8, "linux") == 4
    assert config(listen_tls="ssl:8443:interface=127.0.0.1").count_workers(8, "linux") == 1
    assert config(listen="unix:/run/s").count_workers(8, "linux") == 1
    assert config(catalog="postgresql://h/d").count_workers(8, "linux") == 4
    assert config().count_workers(8, "darwin") == 1
    assert config(workers=0).count_workers(8, "darwin") == 1
    assert config(workers=3).count_workers(1, "linux") == 3
    with pytest.raises(ValueError, match="needs Linux"):
        config(workers=2).count_workers(8, "darwin")
    assert config(workers=2, catalog="postgresql://h/d").count_workers(8, "linux") == 2


def test_the_limit_of_a_container_counts(tmp_path: Path) -> None:
    limit = tmp_path / "cpu.max"
    cores = usable_cores(str(limit))
    assert cores >= 1
    for text, expected in (("max 100000", cores), ("50000 100000", 1), ("150000 100000", min(2, cores)), ("", cores)):
        limit.write_text(text + "\n")
        assert usable_cores(str(limit)) == expected


def test_a_process_that_serves_and_falls_silent_is_noticed_once() -> None:
    clock, silent = Clock(), list[float]()
    watchdog = Watchdog(60, lambda: silent.append(clock.seconds()), clock)
    watchdog.heard(b"WATCHDOG=1")  # it has not said that it serves
    clock.advance(1000)
    watchdog.heard(b"READY=1")
    clock.advance(50)
    watchdog.heard(b"WATCHDOG=1")
    clock.advance(59)
    assert silent == []
    clock.advance(1)
    clock.advance(1000)
    assert silent == [1110]


def test_a_process_that_stops_or_has_ended_may_be_silent() -> None:
    clock, silent = Clock(), list[float]()
    watchdog = Watchdog(60, lambda: silent.append(clock.seconds()), clock)
    watchdog.heard(b"READY=1")
    watchdog.heard(b"STOPPING=1")
    clock.advance(1000)
    watchdog.heard(b"READY=1")
    watchdog.end()
    watchdog.end()
    Watchdog(0, lambda: silent.append(0), clock).heard(b"READY=1")
    clock.advance(1000)
    assert silent == []


def test_the_patience_is_that_of_the_service_manager_for_this_process() -> None:
    assert patience_of({}) == 0
    assert patience_of({"WATCHDOG_USEC": "60000000"}) == 60
    assert patience_of({"WATCHDOG_USEC": "500000", "WATCHDOG_PID": str(os.getpid())}) == 0.5
    assert patience_of({"WATCHDOG_USEC": "500000", "WATCHDOG_PID": "1"}) == 0
    assert patience_of({"WATCHDOG_USEC": "soon"}) == 0
