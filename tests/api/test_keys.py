"""Rotation of the token keys (R36): workers of their own, with a folder of keys that is theirs."""
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from plazatest import tokens
from plazatest.pool import Pool, as_user

ME = "/api/v1/auth/me"


@pytest.fixture
def place(env, tmp_path):
    """A run folder with a copy of the stack's keys and nothing else."""
    for f in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        f.chmod(0o755)
    keys = tmp_path / "conf/keys"
    shutil.copytree(Path(env.run_dir) / "conf/keys", keys)
    for f in (keys, *keys.iterdir()):
        shutil.chown(f, env.run_user)
    return tmp_path


def test_r36_a_worker_learns_a_new_key_without_a_restart(env, place, client):
    """Whoever signs has started again and has the key; this worker has not."""
    pool = Pool(env, place, 1, "web", keys_dir=place / "conf/keys")

    def status(token):
        return pool.ask(0, "GET", ME, HTTP_AUTHORIZATION=f"Bearer {token}")[0]
    try:
        assert status(client.token) == 200
        subprocess.run(as_user(env, f"{env.bin_dir}/plazactl", "-c", str(pool.conf), "keys", "rotate"), check=True)
        new = tokens.changed(SimpleNamespace(run_dir=place), client.token)
        assert tokens.kid_of(new) != tokens.kid_of(client.token)
        assert [status(new), status(client.token), status(new)] == [200] * 3
    finally:
        pool.close()
