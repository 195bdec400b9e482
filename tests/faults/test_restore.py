"""The database goes back to an older point (F28), or another server takes its place (F23)."""
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from plazatest import process
from plazatest.fold import App, State, open_chat, send
from plazatest.load import ROUNDS

BIN = Path("/usr/lib/postgresql/15/bin")
READY_S = 10.0


@pytest.fixture
def folder(env):
    """What PostgreSQL keeps, and a place beside it for another one."""
    data = Path(env.run_dir) / "data/pg"
    other = data.with_name("pg-other")
    shutil.rmtree(other, ignore_errors=True)
    yield data, other
    shutil.rmtree(other, ignore_errors=True)


def as_server(env, *command):
    subprocess.run(["runuser", "-u", env.run_user, "--", *map(str, command)], check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.PIPE, cwd="/")


def ready(users):
    probe = users.anonymous()
    return process.wait(lambda: probe.get("/health/ready").status == 200, READY_S, "ready again")


def swapped(data, other):
    """The other folder is at the place of the data."""
    shutil.rmtree(data)
    other.rename(data)


def restored(env):
    """What README.md tells to do after a restore."""
    return subprocess.run([Path(env.bin_dir) / "plazactl", "-c", env.conf, "restored"], check=True, capture_output=True,
                          text=True).stdout


@pytest.mark.parametrize("told", [True, False], ids=["restored", "forgotten"])
def test_f28_after_a_restore_applications_load_everything_again(env, users, device, folder, note, told):
    """What was told after the backup is lost, and its places in the feed are given again to other events. Another epoch
    tells so; without it an application would take the one for the other, which the second case shows."""
    data, backup = folder
    a, b = users.client(), users.client()
    chat = open_chat(a, b)
    send(a, chat, "kept")
    with process.down(env, "postgres", signal.SIGINT):
        as_server(env, "cp", "-a", data, backup)
    ready(users)
    here, away, d = App(b), App(b), device(b)
    for n in range(4):
        send(a, chat, f"lost {n}")
    d.wait("message:receive", lambda m: m["body"] == "lost 3")
    for app in (here, away):  # both have seen what will be lost
        for e in d.events():
            app.hear(e)
        app.catch_up()
    with process.down(env, "postgres", signal.SIGINT):
        swapped(data, backup)
    took = ready(users)
    if told:
        assert "another epoch" in restored(env)
    for n in range(6):
        send(a, chat, f"new {n}")
    d.wait("message:receive", lambda m: m["body"] == "new 5")
    for e in d.events():
        here.hear(e)
    here.catch_up()
    away.catch_up()
    fresh = State(b)
    assert [m["body"] for m in fresh.messages[chat].values() if not m["body"].startswith("new")] == ["kept"]
    here.us = away.us = fresh.us
    good = here.seen() == fresh.seen() and away.seen() == fresh.seen()
    assert good == told
    if told:
        assert (here.reloads, away.reloads) == (1, 1)
        note(f"restored to an older point, ready {took:.1f} s later: live and by /sync both applications loaded again")


def wait_state(sql, state):
    return sql("SELECT count(*) FROM pg_stat_replication WHERE sync_state = %s", (state,), user="postgres") == [(1,)]


def test_f23_a_standby_takes_over_with_all_that_was_acknowledged(env, scene, folder, sql, note):
    """Commits wait for the standby. The server is killed, its data are gone; the standby is promoted and takes its
    place."""
    data, other = folder
    sock = Path(env.run_dir) / "tmp"
    hba = data / "pg_hba.conf"
    hba.write_text(hba.read_text() + "local replication postgres peer map=plaza\n")
    sql("SELECT pg_reload_conf()", user="postgres")
    time.sleep(0.2)
    as_server(env, BIN / "pg_basebackup", "-h", env.pg_socket, "-U", "postgres", "-D", other, "-R", "-c", "fast", "-N")
    with scene.load() as load:
        as_server(env, BIN / "pg_ctl", "-s", "-w", "-D", other, "-o", f"-k {sock}", "-l", sock / "standby.log", "start")
        try:
            sql("ALTER SYSTEM SET synchronous_standby_names = '*'", user="postgres")
            sql("SELECT pg_reload_conf()", user="postgres")
            process.wait(lambda: wait_state(sql, "sync"), 5, "commits wait for the standby")
            time.sleep(ROUNDS)
            begin = time.monotonic()
            with process.down(env, "postgres"):
                as_server(env, BIN / "pg_ctl", "-s", "-w", "-D", other, "promote")
                as_server(env, BIN / "pg_ctl", "-s", "-w", "-D", other, "-m", "fast", "stop")
                swapped(data, other)
        finally:
            subprocess.run(["runuser", "-u", env.run_user, "--", BIN / "pg_ctl", "-s", "-D", other, "-m", "immediate", "stop"],
                           check=False, cwd="/", stderr=subprocess.DEVNULL)
        ready(scene.users)
        took = time.monotonic() - begin
        time.sleep(1)
    note(f"the standby took over, seed {scene.seed}: {load}; ready {took:.1f} s after the server was killed")
    assert {status for _, status, _ in load.bad} <= {503, 504}
    note("  " + scene.verdict())
