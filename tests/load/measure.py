#!/usr/bin/python3
"""Plays one workload against one server and prints a line of JSON.

usage: measure.py LABEL WORKLOAD URL REQUEST_FILE SECONDS CONNECTIONS GROUP=PID...

A group is a process with all its descendants, named twice to count two trees as one. `cpu` is their CPU time, user and
system, in milliseconds a request; `noise` is the load of everybody else in cores: a run with much of it says little.
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


def main():
    label, workload, url, requests, seconds, connections = sys.argv[1:7]
    groups = {}
    for pair in sys.argv[7:]:
        name, pid = pair.split("=")
        groups.setdefault(name, []).append(int(pid))
    wrk(url, requests, 2, connections)
    before, busy0, kids0, t0 = {g: cpu_of(p) for g, p in groups.items()}, busy(), os.times(), time.monotonic()
    r = wrk(url, requests, seconds, connections)
    t1, kids1, busy1, after = time.monotonic(), os.times(), busy(), {g: cpu_of(p) for g, p in groups.items()}
    spent = {g: after[g] - before[g] for g in groups}
    ours = sum(spent.values()) + kids1.children_user + kids1.children_system - kids0.children_user - kids0.children_system
    print(json.dumps({
        "label": label, "workload": workload, "rps": round(r["requests"] / r["seconds"]), "p50": r["p50"], "p99": r["p99"],
        "cpu": round(1000 * sum(spent.values()) / r["requests"], 4), "errors": r["status"] + r["socket"],
        "by": {g: round(1000 * s / r["requests"], 4) for g, s in spent.items()},
        "rss": {g: rss_of(p) for g, p in groups.items()},
        "noise": round(max(0, busy1 - busy0 - ours) / (t1 - t0), 2)}), flush=True)


main()
