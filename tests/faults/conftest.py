"""What goes on while something is broken: people who buy and people who talk, and a record of what they were told."""
import random
import subprocess
import time
from pathlib import Path

import pytest

from plazatest import process
from plazatest.checker import Checker
from plazatest.fold import App, State, events, sync
from plazatest.goods import Goods
from plazatest.load import Ledger, Load
from plazatest.talk import Talk
from plazatest.writers import Orders

BUYERS, PRODUCTS, STOCK = 3, 3, 1000000
LIVE_S = 5.0
PAUSE_S = 0.02  # of who talks; who buys goes on at once


class Scene:
    def __init__(self, users, sql, device):
        self.users, self.sql, self.device = users, sql, device
        goods = Goods(users, sql)
        seller = goods.seller()
        products = [goods.product(seller, stock=STOCK) for _ in range(PRODUCTS)]
        self.buyers = [users.client() for _ in range(BUYERS)]
        self.orders = Ledger(Orders(products, STOCK))
        other = goods.seller()  # who sells many orders would be busy with their events
        self.talk = Talk(users, goods, other, goods.product(other, stock=STOCK))
        self.talkers = self.talk.people
        self.witness = self.buyers[0]  # whose orders must be told once, too
        self.devices = {t.user["id"]: device(t) for t in [*self.talkers, self.witness]}
        self.former = {u: [] for u in self.devices}  # events of devices that were replaced
        self.talk.devices = self.devices
        self.before = {t.user["id"]: State(t) for t in self.talkers}
        self.apps = {t.user["id"]: App(t.clone()) for t in self.talkers}
        self.start = {u: s.us for u, s in self.before.items()} | {self.witness.user["id"]: sync(self.witness)["to"]}
        self.seed = random.randrange(10 ** 6)
        self.rng = random.Random(self.seed)

    def load(self):
        """Buyers order as fast as the answers come, the others talk."""
        def step(client):
            return self.orders.step(client) if client in self.buyers else self.talk.step(client)
        return Load(self.buyers + self.talkers, step, lambda c: 0 if c in self.buyers else PAUSE_S)

    def heard(self, user):
        """What the user's devices were told and stands in the feed, as it came."""
        return [e for e in self.former[user] + self.devices[user].events() if "us" in e]

    def replace_device(self, client):
        """A new one, with the token that the client has now."""
        me = client.user["id"]
        self.devices[me].close()
        self.former[me] += self.devices[me].events()
        self.devices[me] = self.device(client)

    def all_live(self, user, to):
        """The devices of a user were told everything up to a place."""
        heard = {e["us"] for e in self.heard(user)}
        return heard >= set(range(self.start[user] + 1, to + 1))

    def verdict(self, missed=()):
        """Orders are there once; the talk passes the checker; all but those who may have missed some heard everything
        live; old states and feeds, and what an application made of the live events, give what is loaded fresh. Returns
        what to say about it."""
        said = self.orders.verdict(self.sql)
        left = self.talk.settle()
        for t in [*self.talkers, self.witness]:
            if t.user["id"] not in missed:
                to = sync(t)["to"]
                process.wait(lambda me=t.user["id"], to=to: self.all_live(me, to), LIVE_S, "everything was told live")
        live = {u: self.heard(u) for u in self.start}  # first: asking for feeds makes more events
        feeds, wrong = {}, []
        for talker in self.talkers:
            me = talker.user["id"]
            feeds[me] = events(talker, self.start[me], limit=200)
            wrong += self._folds(talker, feeds[me])
        me = self.witness.user["id"]
        feeds[me] = events(self.witness, self.start[me], limit=200)
        checker = Checker(self.talk, feeds, self.start, live)
        checker.check()
        checker.rows(self.sql)
        assert not wrong, wrong
        for (user, chat), seq in checker.read_upto().items():
            assert self.apps[user].chats[chat]["readSeq"] == seq, "what was read is not"
        return f"{said}; {left} open; {checker}"

    def _folds(self, talker, feed):
        me = talker.user["id"]
        state, app = self.before[me], self.apps[me]
        for e in feed:
            state.apply(e)
        app.client.token = talker.token
        for e in self.heard(me):
            app.hear(e)
        app.catch_up()
        fresh = State(talker)
        state.us = app.us = fresh.us
        return [f"{how}: {difference(old.seen(), fresh.seen())}"
                for how, old in (("the feed does not lead to the truth", state), ("nor do live events and /sync", app))
                if old.seen() != fresh.seen()]


def difference(one, other):
    return {k: (one[k], other[k]) for k in one if one[k] != other[k]}


@pytest.fixture
def scene(users, sql, device):
    return Scene(users, sql, device)


def more(env, program, *options):
    """One more process of a program beside that of the stack."""
    with (Path(env.log_dir) / f"second-{program}.log").open("ab") as log:
        return subprocess.Popen([Path(env.bin_dir) / program, "-c", env.conf, *options], stdout=log, stderr=log)


@pytest.fixture
def second_relay(env):
    p = more(env, "plaza-relay")
    time.sleep(0.5)
    yield p
    p.terminate()
    assert p.wait(10) == 0


@pytest.fixture
def second_ingest(env):
    p = more(env, "plaza-ingest", "-b", "0.2")
    yield p
    p.kill()
    p.wait(10)
