#!/usr/bin/python3
"""Whether the time of a refused sign-in tells if the account exists (requirement R25).

usage: login_timing.py ENV [SAMPLES]     ENV is the file of a stack started with deploy/run --no-limits

Asks alternately, in random order, for an account with a wrong password and for an address without one, SAMPLES
times each (2,000), and compares the two: medians less than 1 ms apart and |t| of Welch's test below 4.5.
"""
import random
import statistics
import sys
import time
import uuid
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

from plazatest import sql  # noqa: E402
from plazatest.env import Env  # noqa: E402
from plazatest.http import Users  # noqa: E402

LOGIN = "/api/v1/auth/login"
MEDIAN_MS, WELCH_T = 1.0, 4.5
TAIL = 0.05  # the slowest of each kind are the machine's, not ours


def ask(client, email):
    start = time.perf_counter()
    r = client.post(LOGIN, {"email": email, "password": "not the right password"})
    took = (time.perf_counter() - start) * 1000
    assert (r.status, r.problem) == (401, "invalid-credentials"), r
    return took


def welch(a, b):
    spread = statistics.variance(a) / len(a) + statistics.variance(b) / len(b)
    return (statistics.mean(a) - statistics.mean(b)) / spread ** 0.5


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    env, samples = Env(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) == 3 else 2000
    users = Users(env)
    known, client = users.client(), users.anonymous()
    times = {True: [], False: []}
    for n in range(samples):
        # A delay of one of the two would end the likeness: both start without failures.
        sql.query(env, "DELETE FROM login_guard")
        nobody = f"client-{uuid.uuid4().hex[:len(known.email) - 21]}@plaza.example"
        for exists in random.sample((True, False), 2):
            times[exists].append(ask(client, known.email if exists else nobody))
    kept = {k: sorted(v)[:int(len(v) * (1 - TAIL))] for k, v in times.items()}
    apart = statistics.median(kept[True]) - statistics.median(kept[False])
    t = welch(kept[True], kept[False])
    print(f"known {statistics.median(kept[True]):.2f} ms, unknown {statistics.median(kept[False]):.2f} ms, "
          f"apart {apart:+.3f} ms, Welch t {t:+.2f}, {samples} samples each")
    sys.exit(abs(apart) >= MEDIAN_MS or abs(t) >= WELCH_T)


if __name__ == "__main__":
    main()
