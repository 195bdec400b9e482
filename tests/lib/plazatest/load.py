"""Load with a ledger: what was asked, what was acknowledged, and afterwards whether each effect is there once."""
import collections
import http.client
import os
import threading
import time

# Of the faults: 1 is the short form, more means longer ones and more of them.
ROUNDS = int(os.environ.get("FAULT_ROUNDS", "1"))
REFUSED_S = 0.05  # the pause of who got nothing
GONE = (OSError, http.client.HTTPException)


class Load:
    """Threads that run step(client) until they are told to stop. Nothing is repeated behind the test's back."""

    def __init__(self, clients, step, pause=lambda client: 0):
        self.clients, self.step, self.pause = clients, step, pause
        self.stopping = threading.Event()
        self.lock = threading.Lock()
        self.statuses = collections.Counter()
        self.times, self.bad, self.crash = [], [], None
        self.threads = [threading.Thread(target=self._run, args=(c,), daemon=True) for c in clients]

    def _run(self, client):
        client.patient = False
        try:
            while not self.stopping.is_set():
                good = self._once(client)
                self.stopping.wait(self.pause(client) if good else REFUSED_S)
        except Exception as e:  # a fault of the test itself must not look like silence
            self.crash = e

    def _once(self, client):
        begin = time.monotonic()
        try:
            r = self.step(client)
            status = r.status
        except GONE as e:
            client.close()
            r, status = None, type(e).__name__
        took = time.monotonic() - begin
        with self.lock:
            self.statuses[status] += 1
            self.times.append((begin, took))
            bad = not isinstance(status, int) or status >= 300 and not r.expected
            if bad:
                self.bad.append((begin, status, r))
        return not bad

    def __enter__(self):
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self.stopping.set()
        for t in self.threads:
            t.join(30)
            assert not t.is_alive(), "a request hangs"
        for c in self.clients:
            c.patient = True
        if self.crash:
            raise self.crash

    @property
    def total(self):
        return sum(self.statuses.values())

    def percentile(self, p, since=0.0, until=float("inf")):
        """Seconds below which the share p of the requests begun in that time took."""
        some = sorted(t for begin, t in self.times if since <= begin < until)
        return some[min(len(some) - 1, int(len(some) * p))] if some else 0.0

    def slower_than(self, limit, since=0.0, until=float("inf")):
        return sum(t > limit for begin, t in self.times if since <= begin < until)

    def __str__(self):
        return f"{self.total} requests: " + ", ".join(f"{n} x {s}" for s, n in sorted(self.statuses.items(), key=str))


class Ledger:
    """Writes under a key that the client chooses; one key must have one effect, however often it is sent.

    A writer has new(client) -> key, send(client, key) -> Response, and check(sql, acknowledged).
    """

    def __init__(self, writer):
        self.writer = writer
        self.lock = threading.Lock()
        self.acknowledged, self.senders = {}, {}

    def step(self, client):
        """Sends a new key; remembers the answer, or that there was none."""
        key = self.writer.new(client)
        with self.lock:
            self.senders[key] = client
        r = self.writer.send(client, key)
        if r.status < 300:
            with self.lock:
                self.acknowledged[key] = r.json
        return r

    def settle(self, timeout=20):
        """Repeats every key whose outcome is unknown, as a client would, until it has an answer. Returns how many."""
        unknown = [k for k in self.senders if k not in self.acknowledged]
        end = time.monotonic() + timeout
        for key in unknown:
            client = self.senders[key].clone()
            while key not in self.acknowledged:
                assert time.monotonic() < end, f"no answer for {key}"
                r = self.writer.send(client, key)
                if r.status < 300:
                    self.acknowledged[key] = r.json
                else:
                    assert r.status in (409, 503), r
                    time.sleep(0.1)
            client.close()
        return len(unknown)

    def verdict(self, sql, replays=100):
        """Settles, lets the writer compare with the database, and asks some keys again: the same answer must come.
        Returns what to say about it."""
        unknown = self.settle()
        self.writer.check(sql, self.acknowledged)
        for key, answer in list(self.acknowledged.items())[-replays:]:
            again = self.writer.send(self.senders[key].clone(), key)
            assert self.writer.same(again.json, answer), (key, again, answer)
        return (f"{len(self.acknowledged)} {self.writer.name} acknowledged, {unknown} of them after a repetition, "
                "each there once")
