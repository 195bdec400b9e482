"""What goes on while something is broken: people who buy and people who talk, and a ledger of what they were told."""
import random

import pytest

from plazatest.fold import State, events, open_chat
from plazatest.goods import Goods
from plazatest.load import Ledger, Load
from plazatest.writers import Messages, Orders

BUYERS, PAIRS, PRODUCTS, STOCK = 3, 2, 3, 1000000


class Scene:
    def __init__(self, users, sql):
        self.users, self.sql = users, sql
        goods = Goods(users, sql)
        seller = goods.seller()
        products = [goods.product(seller, stock=STOCK) for _ in range(PRODUCTS)]
        self.buyers = [users.client() for _ in range(BUYERS)]
        self.talkers, chats = [], {}
        for _ in range(PAIRS):
            pair = [users.client(), users.client()]
            chat = open_chat(*pair)
            self.talkers += pair
            chats.update({p.user["id"]: [chat] for p in pair})
        self.orders, self.messages = Ledger(Orders(products, STOCK)), Ledger(Messages(chats))
        self.before = [State(t) for t in self.talkers]
        self.seed = random.randrange(10 ** 6)
        self.rng = random.Random(self.seed)

    def load(self):
        """Everybody writes as fast as the answers come."""
        ledgers = dict.fromkeys(self.buyers, self.orders) | dict.fromkeys(self.talkers, self.messages)
        return Load(list(ledgers), lambda c: ledgers[c].step(c))

    def verdict(self):
        """Nothing acknowledged is lost or there twice; old states and the events of /sync give the new states."""
        said = [ledger.verdict(self.sql) for ledger in (self.orders, self.messages)]
        for state, talker in zip(self.before, self.talkers):
            for e in events(talker, state.us):
                state.apply(e)
            fresh = State(talker)
            state.us = fresh.us
            assert state.seen() == fresh.seen(), "the feed does not lead to the truth"
        return "; ".join(said)


@pytest.fixture
def scene(users, sql):
    return Scene(users, sql)
