"""Processes of the stack under test, found through the ids that its supervisor writes down. Nothing else is touched."""
import contextlib
import os
import signal
import time
from pathlib import Path


def service(env, name):
    """Process id of a service of the run folder."""
    return int((Path(env.pid_dir) / name).read_text())


def children(pid):
    return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def workers(env, pool="web"):
    """Ids of the pool's workers; the supervisor starts a new one where one ends."""
    return children(service(env, pool))


def kill(pid, sig=signal.SIGKILL):
    """False when it had ended by itself."""
    try:
        os.kill(pid, sig)
        return True
    except ProcessLookupError:
        return False


def end_worker(env, pid, sig=signal.SIGKILL):
    """Ends one worker on purpose; the check of the logs at the end of the run knows of it."""
    if kill(pid, sig):
        env.killed.append(pid)


@contextlib.contextmanager
def stopped(*pids):
    """They do nothing until the end of the block. Some may be dead by then."""
    for pid in pids:
        kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            kill(pid, signal.SIGCONT)


@contextlib.contextmanager
def down(env, name, sig=signal.SIGKILL):
    """The service ends and is away for the whole block: who would start it again is stopped."""
    old = service(env, name)
    with stopped(service(env, "supervisor")):
        kill(old, sig)
        wait(lambda: not running(old), 10, f"{name} has ended")
        yield
    restarted(env, name, old)


def running(pid):
    """Neither gone nor waiting to be buried."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def memory(pid):
    """Bytes that it has in memory."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096


def wait(what, timeout, text):
    """Until what() is true; returns how long it took, in seconds. `text` may be a function that tells it."""
    begin = time.monotonic()
    while not what():
        assert time.monotonic() - begin < timeout, f"not within {timeout} s: {text() if callable(text) else text}"
        time.sleep(0.01)
    return time.monotonic() - begin


def restarted(env, name, old, timeout=10):
    """Waits until the supervisor has another process for the service."""
    def fresh():
        try:
            return service(env, name) != old
        except (OSError, ValueError):
            return False
    return wait(fresh, timeout, f"{name} runs again")
