"""What derives from a secret: the master secret, S's secret, signing keys, and recovery codes
(docs/protocol.md, section 4, "Secrets", "Locked keystones", "Recovery codes")."""

import functools
import hashlib
import hmac
import re
import secrets

import argon2.low_level
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

CODE_BYTES = 20
CODE_SALT = b"sync-gib recovery code v1"
CODE_DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


class WrongSecret(Exception):
    """The secret is not there, or does not solve this keystone's challenges."""


# The master secret ("Secrets")


def new_kdf():
    """How the secret of a new identity is stretched."""
    return {"algo": "argon2id", "salt": secrets.token_hex(16), "mKib": 65536, "t": 3, "p": 1}


def master_secret(typed, details):
    """The master secret that a typed secret gives, stretched as a frame's details say."""
    if not 1 <= len(typed.encode()) <= 4096:
        raise WrongSecret("a secret has 1 to 4096 bytes")
    try:
        is_raw = details is None or details.keys() <= {"lock"}
        kdf = {"algo": "none"} if is_raw else details["kdf"]
        if kdf["algo"] == "none":
            return typed
        salt, kib, passes, lanes = (kdf[key] for key in ("salt", "mKib", "t", "p"))
        is_known = (kdf["algo"] == "argon2id" and re.fullmatch("[0-9a-fA-F]{32}", salt)
                    and all(type(cost) is int for cost in (kib, passes, lanes))
                    and 8192 <= kib <= 1 << 20 and 1 <= passes <= 16 and 1 <= lanes <= 16
                    and kib * passes <= 4 << 20)
    except (KeyError, TypeError, AttributeError):
        is_known = False
    if not is_known:
        raise WrongSecret("how the identity's secret is stretched is unknown, or too costly")
    return _argon2id(typed, salt, kib, passes, lanes)


@functools.lru_cache(maxsize=1)
def _argon2id(typed, salt, kib, passes, lanes):
    return argon2.low_level.hash_secret_raw(
        typed.encode(), bytes.fromhex(salt), time_cost=passes, memory_cost=kib,
        parallelism=lanes, hash_len=32, type=argon2.low_level.Type.ID, version=19).hex()


# What derives from it


def hkdf(secret, salt, info):
    """HKDF-SHA-256, one block."""
    prk = hmac.digest(salt, secret, "sha256")
    return hmac.digest(prk, info.encode() + b"\x01", "sha256")


def session_secret(master, saga_id):
    """S's secret."""
    return hkdf(master.encode(), b"sync-gib session keystone v1", saga_id).hex()


def signing_key(master, uuid):
    """The private key of the keystone with this uuid."""
    seed = hkdf(master.encode(), b"sync-gib signing key v1", uuid)
    return Ed25519PrivateKey.from_private_bytes(seed)


def public_bytes(private):
    return private.public_key().public_bytes(serialization.Encoding.Raw,
                                             serialization.PublicFormat.Raw)


# Recovery codes


def recovery_secret(code, uuid):
    """The secret of the pool `recover`; the recovery key is its signing key."""
    return hkdf(code, CODE_SALT, uuid).hex()


def _digits(number, count):
    return "".join(CODE_DIGITS[number >> 5 * at & 31] for at in reversed(range(count)))


def spell_code(code):
    """20 bytes as a person writes them down."""
    check = int.from_bytes(hashlib.sha256(CODE_SALT + code).digest(), "big") >> 236
    text = _digits(int.from_bytes(code, "big"), 32) + _digits(check, 4)
    return "-".join(text[at:at + 4] for at in range(0, 36, 4))


def read_code(typed):
    """The 20 bytes of a code as it was typed."""
    text = re.sub(r"[\s-]", "", typed).upper().translate(str.maketrans("OIL", "011"))
    if len(text) != 36 or set(text) - set(CODE_DIGITS):
        raise WrongSecret("a recovery code has 36 letters and digits")
    number = functools.reduce(lambda sum_, digit: sum_ << 5 | CODE_DIGITS.index(digit),
                              text[:32], 0)
    code = number.to_bytes(CODE_BYTES, "big")
    if spell_code(code).replace("-", "") != text:
        raise WrongSecret("the recovery code was not typed right: its checksum does not fit")
    return code
