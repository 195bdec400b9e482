"""Redis of the stack under test, as far as tests must put something there."""
import socket
from pathlib import Path


def count(env, name, seconds, whose, hits):
    """So many hits are in that window of a rate limit already."""
    secret = (Path(env.run_dir) / "conf/redis.secret").read_text().strip()
    commands = (("AUTH", "plaza", secret), ("SET", f"plaza:rl:{name}:{seconds}:{whose}", str(hits), "EX", str(seconds)))
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(env.redis_socket)
        for c in commands:
            s.sendall(f"*{len(c)}\r\n".encode() + b"".join(f"${len(a)}\r\n{a}\r\n".encode() for a in c))
            assert s.recv(100) == b"+OK\r\n"
