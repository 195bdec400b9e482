"""Fixtures of all pytest suites. One stack for the whole run."""
import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "lib"))

from plazatest import env as env_module  # noqa: E402
from plazatest import sql as sql_module  # noqa: E402
from plazatest.http import Users  # noqa: E402
from plazatest.mqtt import Device  # noqa: E402


@pytest.fixture(scope="session")
def env():
    e, stop = env_module.start()
    yield e
    stop()


@pytest.fixture(scope="session")
def users(env):
    return Users(env)


@pytest.fixture
def anonymous(users):
    return users.anonymous()


@pytest.fixture
def client(users):
    return users.client()


@pytest.fixture
def seller(users):
    return users.seller()


@pytest.fixture(scope="session")
def admin(users):
    return users.admin()


@pytest.fixture
def sql(env):
    """sql(text, args) as the owner of the schema."""
    return lambda text, args=(), user="plaza_owner": sql_module.query(env, text, args, user)


@pytest.fixture
def device(env):
    """device(client) connects one more device of a user; all are closed at the end."""
    made = []

    def make(client, **kw):
        made.append(Device(env, client, **kw))
        return made[-1]

    yield make
    for d in made:
        d.close()


def pytest_configure(config):
    folder = os.environ.get("PLAZA_EXCHANGES")
    if folder:
        os.makedirs(folder, exist_ok=True)
