"""Several brokers: whose is whose, and one of them that is away for a while."""
import contextlib
import re
import signal
import socket
from pathlib import Path

from plazatest import process


def count(env):
    return int(env.brokers)


def of(user, n):
    """The broker of a user's id among n: its last eight digits."""
    return int(user.user["id"][-8:], 16) % n


def name(service, n):
    """The name of a service that there is once for each broker; the first has no number."""
    return f"{service}-{n}" if n else service


def port(env, n):
    return int(env.mqtt_ports.split()[n])


def listens(env, n):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port(env, n))) == 0


@contextlib.contextmanager
def hung(env, n):
    """The broker lives and does nothing: connections stay, nobody is answered."""
    pid = process.service(env, name("mosquitto", n))
    process.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        process.kill(pid, signal.SIGCONT)


@contextlib.contextmanager
def dead(env, n):
    """Killed, and what its supervisor starts in its place does nothing."""
    service = name("mosquitto", n)
    script, old = next(Path(env.run_dir).glob(f"svc/*-{service}")), process.service(env, service)
    text = script.read_text()
    script.write_text(re.sub("^exec .*", "exec sleep 600", text, flags=re.M))
    try:
        process.kill(old)
        process.restarted(env, service, old)
        process.wait(lambda: not listens(env, n), 5, f"broker {n} is gone")
        yield
    finally:
        script.write_text(text)
        process.kill(process.service(env, service))
        process.wait(lambda: listens(env, n), 20, f"broker {n} is back")
