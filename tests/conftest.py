"""Fixtures of all pytest suites. One stack for the whole run."""
import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "lib"))

from plazatest import env as env_module  # noqa: E402
from plazatest import logs  # noqa: E402
from plazatest import sql as sql_module  # noqa: E402
from plazatest.http import Users  # noqa: E402
from plazatest.mqtt import Device  # noqa: E402

FOUND = pytest.StashKey()


@pytest.fixture(scope="session")
def env(request):
    e, stop = env_module.start()
    reports, deaths = len(logs.reports(e)), logs.deaths(e)
    yield e
    # A defect that a log tells of fails the run, whatever the tests said.
    found = logs.reports(e)[reports:]
    if (died := logs.deaths(e) - deaths - len(e.killed)) > 0:
        found.append(("web, auth, egress", f"{died} workers died that no test had killed"))
    request.config.stash[FOUND] = found
    stop(not found and not request.session.testsfailed)


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


@pytest.fixture(scope="session")
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


@pytest.fixture(scope="session")
def note(request):
    """note(text): a figure to be shown at the end of the run."""
    return request.config.stash.setdefault(NOTES, []).append


NOTES = pytest.StashKey()


def pytest_configure(config):
    folder = os.environ.get("PLAZA_EXCHANGES")
    if folder:
        os.makedirs(folder, exist_ok=True)


def pytest_sessionfinish(session, exitstatus):
    if session.config.stash.get(FOUND, []) and exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter, config):
    for text in config.stash.get(NOTES, []):
        terminalreporter.write_line(f"  {text}")
    found = config.stash.get(FOUND, [])
    for name, line in found[:10]:
        terminalreporter.write_line(f"FAILED log {name}: {line}", red=True)
    if len(found) > 10:
        terminalreporter.write_line(f"… and {len(found) - 10} more lines in the logs", red=True)
