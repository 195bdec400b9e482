"""Addresses of the stack under test: the `env` file that deploy/run writes into its run folder."""
import os
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


class Env:
    """KEY=VALUE lines as attributes in lower case: env.base_url, env.pg_socket, …"""

    def __init__(self, path):
        self.path = Path(path)
        for line in self.path.read_text().splitlines():
            key, sep, value = line.partition("=")
            if sep and not line.startswith("#"):
                setattr(self, key.strip().lower(), value.strip())

    def __getattr__(self, name):
        raise AttributeError(f"{self.path} has no {name.upper()}")


def start():
    """The running stack named by PLAZA_TEST_ENV, or one of our own. Returns (env, stop)."""
    named = os.environ.get("PLAZA_TEST_ENV")
    if named:
        return Env(named), lambda: None
    folder = tempfile.mkdtemp(prefix="plaza-test.", dir="/tmp")
    run = [str(ROOT / "deploy/run"), "--dir", folder, "--no-demo", "--detach"]
    if os.environ.get("WEB") == "apache":
        run.append("--apache")
    subprocess.run(run, check=True, cwd=ROOT)
    return Env(Path(folder) / "env"), lambda: subprocess.run(
        [str(ROOT / "deploy/run"), "stop", "--dir", folder], check=True, cwd=ROOT)
