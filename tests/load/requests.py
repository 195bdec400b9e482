#!/usr/bin/python3
"""Writes the request files of the workloads from a loaded database and the stack's token keys.

usage: requests.py ENV_FILE OUT_DIR              everything
       requests.py ENV_FILE OUT_DIR clients      only what swarm wants, and S1
       requests.py ENV_FILE OUT_DIR leavers N    only N clients with new sessions, which may end
"""
import base64
import json
import random
import sys
import time
import urllib.parse
import uuid
from hashlib import md5
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

from cryptography.hazmat.primitives import hashes, serialization  # noqa: E402
from cryptography.hazmat.primitives.asymmetric import padding  # noqa: E402
from plazatest.env import Env  # noqa: E402
from plazatest.http import Client  # noqa: E402
from plazatest.sql import query  # noqa: E402

API = "/api/v1"
PASSWORD = "correct horse battery staple"
TEXT = "Hello, is this still available? I can pick it up on Saturday morning. " + "x" * 30
TOKEN_LIFE_S = 3600
FED = 500  # users with 200 events in their feeds, see data.sql


def named(kind, n):
    return str(uuid.UUID(md5(f"{kind}:{n}".encode()).hexdigest()))


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Signer:
    """Tokens as the auth pool makes them; the sessions are in data.sql."""

    def __init__(self, env):
        key = sorted(p for p in Path(env.keys_dir).glob("*.pem") if not p.name.endswith(".pub.pem"))[-1]
        self.kid, self.key = key.name[:-4], serialization.load_pem_private_key(key.read_bytes(), None)
        self.issuer, self.now, self.made = env.issuer, int(time.time()), {}
        ((self.users, self.chats),) = query(env, "SELECT (SELECT count(*) FROM account WHERE email LIKE 'user%%'), "
                                                 "(SELECT count(*) FROM chat)")

    def role(self, n):
        return "seller" if n < self.users // 5 else "client"

    def pairs(self):
        """Conversation, buyer, seller, as data.sql numbers them."""
        users = self.users
        return [(n, n % users, (n % users + 1 + n * 7919 % (users - 2)) % users) for n in range(self.chats)]

    def sign(self, n, session, **claims):
        head = {"alg": "RS256", "kid": self.kid, "typ": "JWT"}
        text = ".".join(b64(json.dumps(part).encode()) for part in (head, {
            "iss": self.issuer, "sub": named("user", n), "sid": session, "jti": str(uuid.uuid4()), "role": self.role(n),
            "iat": self.now, "exp": self.now + TOKEN_LIFE_S, **claims}))
        return text + "." + b64(self.key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256()))

    def token(self, n, session=None):
        if session:
            return self.sign(n, session, aud="api", kind="access")
        if n not in self.made:
            self.made[n] = self.token(n, named("session", n))
        return self.made[n]

    def client(self, n, chat="", peer="", session=None):
        """A line for swarm. As its device's name stands the session's id, as POST /realtime/session makes it."""
        user, did = named("user", n), session or named("session", n)
        acl = {"sub": [f"u/{user}/#", "b/all", f"b/role/{self.role(n)}"], "pub": [f"up/{user[-1]}/{user}/#"]}
        return (user, self.token(n, session), chat, peer, self.sign(n, did, aud="mqtt", kind="mqtt", did=did, acl=acl),
                did, self.role(n))


def write(folder, name, rows):
    with open(folder / name, "w", encoding="utf-8") as f:
        f.writelines("\t".join(r) + "\n" for r in rows)


def list_pages(env):
    """First pages of all categories and pages behind them, by following the cursors."""
    client, paths = Client(env.base_url), []
    for n in range(1, 51):
        base, cursor = f"{API}/products?category=category-{n}&limit=20", None
        for _ in range(40):
            path = base + (f"&cursor={cursor}" if cursor else "")
            paths.append(path)
            cursor = client.get(path).json["nextCursor"]
            if not cursor:
                break
    return paths


def search_words(env):
    """Pairs of words that each stand in 1.4 % to 3 % of the products, as the peers' queries."""
    words = [w for (w,) in query(env, "SELECT word FROM ts_stat('SELECT to_tsvector(''simple'', title || '' '' || "
                                      "description) FROM product') WHERE ndoc BETWEEN 1400 AND 3000 ORDER BY md5(word)")]
    return [f"{words[i]} {words[(i + 1 + i % 7) % len(words)]}" for i in range(len(words))]


def everything(env, out, sign):
    random.seed(7)
    products = [named("product", n) for n in range(100000)]
    random.shuffle(products)
    pairs = sign.pairs()
    random.shuffle(pairs)
    line = json.dumps({"type": "text", "body": TEXT})
    write(out, "W0", [("GET", "/health/live", "", "")])
    write(out, "W1", [("GET", f"{API}/products/{p}", "", "") for p in products])
    write(out, "W2", [("GET", p, "", "") for p in random.sample(list_pages(env), k=1000)])
    write(out, "W3", [("GET", f"{API}/products?q={urllib.parse.quote_plus(q)}&limit=20", "", "") for q in search_words(env)])
    write(out, "W4", [("POST", f"{API}/chats/{named('chat', n)}/messages", sign.token(a), line) for n, a, _ in pairs])
    write(out, "W5", [("GET", f"{API}/chats/{named('chat', n)}/messages?limit=50", sign.token(a), "")
                      for n, a, _ in pairs if n % 4 == 0])
    write(out, "W6", [("GET", f"{API}/chats?limit=20", sign.token(n), "") for n in random.sample(range(10000), k=10000)])
    write(out, "W7", [("POST", f"{API}/orders", sign.token(random.randrange(2000, 10000)), json.dumps({
        "payment": {"method": "mock", "token": "tok_success"},
        "items": [{"productId": p, "quantity": 1 + i % 2} for i, p in enumerate(random.sample(products, k=3))]}))
        for _ in range(20000)])
    write(out, "W8", [("POST", f"{API}/auth/login", "", json.dumps({"email": f"user{n}@example.test", "password": PASSWORD}))
                      for n in random.sample(range(10000), k=2000)])


def clients(out, sign):
    """Everybody: first those who have somebody to talk to, side by side."""
    used, lines = set(), []
    for n, a, b in sign.pairs():
        if not used & {a, b}:
            used |= {a, b}
            chat = named("chat", n)
            lines += [sign.client(a, chat, named("user", b)), sign.client(b, chat, named("user", a))]
    lines += [sign.client(n) for n in range(sign.users) if n not in used]
    write(out, "clients", lines)
    write(out, "S1", [("GET", f"{API}/sync?since=0&limit=200", sign.token(n), "") for n in range(FED)])


def leavers(env, out, sign, count):
    sessions = [(str(uuid.uuid4()), n) for n in range(count)]
    for session, n in sessions:
        query(env, "INSERT INTO session (id, account_id, expires_at) VALUES (%s, %s, now() + interval '1 hour')",
              (session, named("user", n)))
    write(out, "leavers", [sign.client(n, session=session) for session, n in sessions])


def main():
    env, out, what = Env(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]
    out.mkdir(parents=True, exist_ok=True)
    sign = Signer(env)
    if what[:1] == ["leavers"]:
        leavers(env, out, sign, int(what[1]))
        return
    if not what:
        everything(env, out, sign)
    clients(out, sign)


main()
