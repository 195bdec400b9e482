"""Addresses of the stack under test: the `env` file that deploy/run writes into its run folder."""
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
WORKERS = 8


class Env:
    """KEY=VALUE lines as attributes in lower case: env.base_url, env.pg_socket, …"""

    def __init__(self, path):
        self.path = Path(path)
        self.killed = []  # workers that a test ended; all others should have lived
        for line in self.path.read_text().splitlines():
            key, sep, value = line.partition("=")
            if sep and not line.startswith("#"):
                setattr(self, key.strip().lower(), value.strip())

    def __getattr__(self, name):
        raise AttributeError(f"{self.path} has no {name.upper()}")


def program(name):
    """A program of the build under test, also before any stack runs (tests are made out of its tables)."""
    named = os.environ.get("PLAZA_TEST_ENV")
    if named:
        return Path(Env(named).bin_dir) / name
    return Path(os.environ.get("PLAZA_BUILD") or ROOT / "build" / os.environ.get("PLAZA_PROFILE", "release")) / name


def document(name):
    """What the program prints about itself: routes, openapi, problems, …"""
    return subprocess.run([program("plaza-fcgi"), "-x", name], check=True, capture_output=True, text=True).stdout


def run(*args):
    """deploy/run; what it says goes to the terminal."""
    subprocess.run([str(ROOT / "deploy/run"), *args], check=True, cwd=ROOT, stdout=sys.stderr)


def push_settings(folder):
    """Push services are ours, see push.py; what pretends to be Firebase has a port of its own from the start."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    return ["--set", "push_loopback=1", "--set", f"fcm_url=http://127.0.0.1:{port}",
            "--set", f"fcm_account_file={folder}/conf/push/fcm.json"]


def start(workers=WORKERS):
    """The running stack named by PLAZA_TEST_ENV, or one of our own. Returns (env, stop(good))."""
    named = os.environ.get("PLAZA_TEST_ENV")
    if named:
        return Env(named), lambda good: None
    folder = tempfile.mkdtemp(prefix="plaza-test.", dir="/tmp")
    os.chmod(folder, 0o755)

    def stop(good):
        run("stop", "--dir", folder)
        if good:
            shutil.rmtree(folder)
        else:
            print(f"\nThe run folder is kept: {folder}", file=sys.stderr)

    args = ["--dir", folder, "--no-demo", "--no-limits", "--no-fsync", "--detach",
            "--workers", str(workers), "--auth", "2", "--egress", "1", *push_settings(folder)]
    if os.environ.get("PLAZA_BROKERS"):
        args += ["--brokers", os.environ["PLAZA_BROKERS"]]
    if os.environ.get("WEB") == "apache":
        args.append("--apache")
    try:
        run(*args)
    except subprocess.CalledProcessError:
        stop(False)
        raise
    return Env(Path(folder) / "env"), stop
