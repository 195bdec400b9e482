"""What the logs of a run folder must not hold: reports of sanitizers, crashes, broken records, secrets."""
import json
import re
from pathlib import Path

PROGRAMS = ("web", "auth", "egress", "relay", "ingest")
# Words of ASan, UBSan, LSan, of CHECK() and of the supervisor of the workers about a child that died.
REPORT = re.compile(r"AddressSanitizer|LeakSanitizer|UndefinedBehaviorSanitizer|runtime error:|"
                    r"\"check_failed\"|received signal (?:6|8|11)\b|stack smashing detected|double free|"
                    r"buffer overflow detected")

# libfcgi gives up on a record with two huge lengths, on purpose, and the supervisor starts the worker again.
REFUSED = re.compile(r"plaza-fcgi: fcgiapp\.c:\d+: Malloc: Assertion")
# What the sanitizer says before; with allocator_may_return_null it lets libfcgi find out by itself.
TOO_BIG = re.compile(r"==\d+==WARNING: AddressSanitizer failed to allocate 0x[0-9a-f]+ bytes$")
DIED = re.compile(r"Child\[\d+\] died")
SUPERVISOR = re.compile(r"Child\[\d+\] died|Spawning child\[\d+\] failed")


def files(env):
    return sorted(Path(env.log_dir).glob("*.log*"))


def reports(env):
    """[(file, line)] that tell of a defect."""
    return [(f.name, line.strip()) for f in files(env)
            for line in f.read_text(errors="replace").splitlines() if REPORT.search(line) and not TOO_BIG.match(line)]


def deaths(env):
    """How many workers ended by themselves for no known reason."""
    text = "\n".join((Path(env.log_dir) / f"{name}.log").read_text(errors="replace") for name in ("web", "auth", "egress"))
    return len(DIED.findall(text)) - len(REFUSED.findall(text))


def broken_records(env):
    """Lines of our programs that are no JSON object (R77): one record must never become two."""
    found = []
    for f in (Path(env.log_dir) / f"{name}.log" for name in PROGRAMS):
        for line in f.read_text(errors="replace").splitlines() if f.exists() else ():
            try:
                good = isinstance(json.loads(line), dict)
            except ValueError:
                good = False
            if not good and not any(known.match(line) for known in (REFUSED, TOO_BIG, SUPERVISOR)):
                found.append((f.name, line[:200]))
    return found


def holding(env, needle):
    """Files of the run folder, logs and temporary ones, that contain these bytes."""
    folders = [Path(env.log_dir), Path(env.run_dir) / "tmp"]
    return [str(f) for folder in folders for f in folder.rglob("*") if f.is_file() and needle in f.read_bytes()]
