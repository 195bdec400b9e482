"""Users of every broker. The stack of this suite has three (PLAZA_BROKERS)."""
import pytest

from plazatest import brokers
from plazatest.fold import open_chat
from plazatest.goods import crowd


@pytest.fixture(scope="session")
def k(env):
    n = brokers.count(env)
    assert n == 3, "deploy/run --brokers 3"
    return n


@pytest.fixture
def people(env, users, sql, k):
    """people(n=1): for every broker n new users, [[…], […], […]]; pairs that talk are the test's."""
    def make(n=1):
        found = [[] for _ in range(k)]
        while any(len(some) < n for some in found):
            for c in crowd(env, users, sql, 2 * k):
                found[brokers.of(c, k)].append(c)
        return [some[:n] for some in found]
    return make


@pytest.fixture
def device(device):
    """One that does not wait long before it comes back."""
    def make(client, **kw):
        d = device(client, **kw)
        d.paho.reconnect_delay_set(1, 1)
        return d
    return make


@pytest.fixture
def trio(people):
    """One user of each broker; each has a conversation with each."""
    three = [some[0] for some in people()]
    chats = {}
    for i in range(len(three)):
        for j in range(i):
            chats[i, j] = chats[j, i] = open_chat(three[i], three[j])
    return three, chats
