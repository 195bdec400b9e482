#!/usr/bin/python3
"""Plays one workload against one server and prints a line of JSON.

usage: measure.py LABEL W… URL REQUEST_FILE SECONDS CONNECTIONS GROUP=PID...
       measure.py LABEL R… GROUP=PID... -- SWARM MODE NAME=VALUE...

A group is a process with all its descendants, named twice to count two trees as one. `cpu` is their CPU time, user and
system, in milliseconds a request, or a delivered message; `noise` is the load of everybody else in cores: a run with much of it says little.
"""
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")
HERE = Path(__file__).parent


def stat(pid):
    text = Path(f"/proc/{pid}/stat").read_text()
    return text[text.rindex(")") + 2:].split()


def descendants(roots):
    children = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                children.setdefault(int(stat(entry)[1]), []).append(int(entry))
            except OSError:
                pass
    todo, found = list(roots), set()
    while todo:
        pid = todo.pop()
        if pid not in found:
            found.add(pid)
            todo += children.get(pid, [])
    return found


def cpu_of(roots):
    """Seconds of the trees; children that have ended count with their parents."""
    total = 0
    for pid in descendants(roots):
        try:
            total += sum(int(n) for n in stat(pid)[11:15])
        except OSError:
            pass
    return total / TICK


def busy():
    user, nice, system, _, _, irq, soft = (int(n) for n in Path("/proc/stat").read_text().split("\n")[0].split()[1:8])
    return (user + nice + system + irq + soft) / TICK


def rss_of(roots):
    """Largest resident set of a process of the group, MB."""
    sizes = [0]
    for pid in descendants(roots):
        try:
            sizes.append(int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1]) / 1024)
        except (OSError, TypeError):
            pass
    return round(max(sizes), 1)


def wrk(url, requests, seconds, connections):
    out = subprocess.run(
        ["wrk", "-t2", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", "-s", str(HERE / "play.lua"), url],
        env=dict(os.environ, REQUEST_FILE=requests), stdout=subprocess.PIPE, check=True, text=True).stdout
    return json.loads(re.search(r"^RESULT (.*)$", out, re.M)[1])


class Moment:
    """Counters at one time."""

    def __init__(self, groups):
        self.cpu, self.busy, self.time = {g: cpu_of(p) for g, p in groups.items()}, busy(), time.monotonic()
        own = os.times()
        self.own = own.user + own.system + own.children_user + own.children_system


def requests(groups, url, file, seconds, connections):
    """Result of wrk and the moments before and after it."""
    wrk(url, file, 2, connections)
    before = Moment(groups)
    r = wrk(url, file, seconds, connections)
    return r, before, Moment(groups)


def messages(groups, command):
    """Result of swarm and the moments that it calls out; by its end a group may have started again."""
    moments = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as player:
        for line in player.stdout:
            if line.startswith("RESULT "):
                r = json.loads(line[7:])
            else:
                moments.append((Moment(groups), cpu_of([player.pid]), {g: rss_of(p) for g, p in groups.items()}))
    if player.returncode != 0 or len(moments) != 2:
        sys.exit("swarm did not come to its end")
    (before, own0, rss), (after, own1, _) = moments
    after.own, before.own = after.own + own1, before.own + own0
    return dict(r, generator=round(own1 - own0, 2), idle_rss=rss), before, after


def report(label, workload, groups, before, after, count, more):
    spent = {g: after.cpu[g] - before.cpu[g] for g in groups}
    ours = sum(spent.values()) + after.own - before.own
    seconds = after.time - before.time
    print(json.dumps({
        "label": label, "workload": workload, "rps": round(count / seconds), **more,
        "cpu": round(1000 * sum(spent.values()) / count, 4),
        "by": {g: round(1000 * s / count, 4) for g, s in spent.items()},
        "rss": {g: rss_of(p) for g, p in groups.items()},
        "noise": round(max(0, after.busy - before.busy - ours) / seconds, 2)}), flush=True)


def main():
    label, workload, *rest = sys.argv[1:]
    command = rest[rest.index("--") + 1:] if "--" in rest else None
    target = rest[:4] if command is None else []
    groups = {}
    for pair in rest[len(target):len(rest) if command is None else rest.index("--")]:
        name, pid = pair.split("=")
        groups.setdefault(name, []).append(int(pid))
    if command:
        r, before, after = messages(groups, command)
        report(label, workload, groups, before, after, max(1, r["delivered"]), r)
        return
    r, before, after = requests(groups, *target)
    report(label, workload, groups, before, after, r["requests"],
           {"p50": r["p50"], "p99": r["p99"], "errors": r["status"] + r["socket"]})


main()
