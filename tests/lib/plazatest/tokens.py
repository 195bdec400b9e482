"""Access tokens that the server would not make: signed with the private key of the test stack."""
import base64
import functools
import json
import time
import uuid
from pathlib import Path

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding

from plazatest.http import claims_of


def part(value):
    data = value if isinstance(value, bytes) else json.dumps(value, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@functools.lru_cache
def private_key(path):
    """Reading one checks it, which takes a tenth of a second."""
    return serialization.load_pem_private_key(path.read_bytes(), password=None)


def sign(env, claims):
    """A token of these claims, in the form of the real ones."""
    path = sorted(p for p in (Path(env.run_dir) / "conf/keys").glob("*.pem") if not p.name.endswith(".pub.pem"))[-1]
    key = private_key(path)
    text = part({"alg": "RS256", "typ": "JWT", "kid": path.stem}) + "." + part(claims)
    return text + "." + part(key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256()))


def kid_of(token):
    head = token.split(".")[0]
    return json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))["kid"]


def changed(env, token, **claims):
    """The same token with other claims and a new id."""
    return sign(env, {**claims_of(token), "jti": str(uuid.uuid4()), **claims})


def expired(env, token):
    """A token that was good a while ago: older than any leeway."""
    now = int(time.time())
    return changed(env, token, iat=now - 1200, exp=now - 300)
