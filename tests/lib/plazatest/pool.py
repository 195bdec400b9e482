"""Workers of a test's own, beside those of the stack, with another configuration."""
import getpass
import re
import signal
import socket
import subprocess
import uuid
from pathlib import Path

from plazatest import fcgi, process


def as_user(env, *args):
    """The command as the user of the stack, who may enter the database."""
    if env.run_user == getpass.getuser():
        return list(args)
    return ["setpriv", "--reuid", env.run_user, "--regid", env.run_user, "--init-groups", *args]


def listens(path):
    with socket.socket(socket.AF_UNIX) as s:
        return s.connect_ex(path) == 0


class Pool:
    """Some workers of a pool behind one socket each; `changes` are of the stack's configuration."""

    def __init__(self, env, folder, count, name="auth", **changes):
        self.conf = folder / "plaza.conf"
        text = Path(env.conf).read_text()
        for option, value in changes.items():
            text = re.sub(rf"(?m)^{option} = .*$", f"{option} = {value}", text)
        self.conf.write_text(text)
        self.sockets = [str(Path(env.web_socket).parent / f"own-{uuid.uuid4().hex[:8]}.sock") for _ in range(count)]
        self.started = [subprocess.Popen(as_user(env, f"{env.bin_dir}/plaza-fcgi", "-c", str(self.conf), "-p", name, "-s", s),
                                         stderr=subprocess.DEVNULL) for s in self.sockets]
        for s in self.sockets:
            process.wait(lambda path=s: listens(path), 10, "a worker listens")

    def ask(self, n, method, path, address="127.0.0.1", body=b"", **more):
        """(status, headers in lower case) of a request by way of worker n."""
        out = fcgi.exchange(self.sockets[n % len(self.sockets)], fcgi.request(
            method, path, body=body, CONTENT_TYPE="application/json", REMOTE_ADDR=address, **more), timeout=20, about=(method, path))
        return fcgi.status(out), fcgi.headers(out)

    def close(self):
        for p, s in zip(self.started, self.sockets):
            p.send_signal(signal.SIGTERM)
            p.wait(10)
            Path(s).unlink(missing_ok=True)
