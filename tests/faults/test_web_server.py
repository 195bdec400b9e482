"""The web server dies under its clients and comes back (F1 at the other end of the socket)."""
import time

from plazatest import process
from plazatest.load import ROUNDS

KILLS = 2


def test_a_killed_web_server_loses_nothing_acknowledged(env, scene, note):
    """Requests whose answer it held are done or not; the key tells which."""
    probe = scene.users.anonymous()

    def answers():
        try:
            return probe.get("/health/ready").status == 200
        except OSError:
            return False

    with scene.load() as load:
        for _ in range(KILLS * ROUNDS):
            time.sleep(scene.rng.uniform(0.5, 1))
            old = process.service(env, env.web_server)
            process.kill(old)
            process.restarted(env, env.web_server, old)
            process.wait(answers, 10, "it answers again")
        time.sleep(0.5)
    note(f"{env.web_server} killed {KILLS * ROUNDS} times, seed {scene.seed}: {load.total} requests, {len(load.bad)} without success")
    assert load.bad, "nothing met the gap"
    note("  " + scene.verdict())
