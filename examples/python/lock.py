"""Locks: the signing key of a keystone, and what its signatures bind (docs/protocol.md, section 4,
"Locked keystones", "Renewals")."""

import base64
import binascii
import hashlib

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

import ibgib
import keys

SIZES = {"key": 32, "recovery": 32, "recoveryKey": 32, "signature": 64}
ROTATION, RECOVERY = "rotation", "recovery"
# The field and the curve of Ed25519 (RFC 8032, section 5.1).
P = 2**255 - 19
D = -121665 * pow(121666, P - 2, P) % P


class Broken(Exception):
    """A frame that breaks a rule of keystones."""


def need(holds, rule):
    if not holds:
        raise Broken(rule)


# Bytes and keys


def spell(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def unspell(text, size):
    """The bytes that a text spells in the one spelling that they have."""
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (TypeError, ValueError, binascii.Error):
        raw = b""
    need(len(raw) == size and spell(raw) == text, f"not {size} bytes in base64url")
    return raw


def is_point(raw):
    """Whether 32 bytes are a point of the curve in canonical form, and not one of small order."""
    y = int.from_bytes(raw, "little") % 2**255
    yy = y * y % P
    # On the curve (yy - 1) / (D * yy + 1) is a square, that of x. Small orders: x or y is 0, or
    # doubling the point gives a y of 0, which is so where x and y have opposite squares.
    is_square = pow((yy - 1) * (D * yy + 1), P // 2, P) == 1
    return y < P and is_square and y != 0 and (D * yy * yy + 2 * yy - 1) % P != 0


def key_hash(raw):
    return spell(hashlib.sha256(raw).digest())


# Reading and making locks


def of(frame):
    """A frame's lock; none where it has none."""
    details = ibgib.datum(frame, "frameDetails")
    if not isinstance(details, dict) or "lock" not in details:
        return None
    lock = details["lock"]
    need(isinstance(lock, dict) and lock.keys() <= {*SIZES, "since"},
         "a lock with a field that locks do not have")
    need(type(lock.get("since")) is int and lock["since"] >= 0 and "key" in lock,
         "a lock without a key, or without the count of the frame that brought it in")
    raw = {field: unspell(lock[field], size) for field, size in SIZES.items() if field in lock}
    need(all(is_point(raw[field]) for field in ("key", "recoveryKey") if field in raw),
         "a key that is no point of the curve, or one of small order")
    return lock


def first(master, uuid, code=None):
    """The lock of a genesis."""
    lock = {"key": spell(keys.public_bytes(keys.signing_key(master, uuid)))}
    if code:
        private = keys.signing_key(keys.recovery_secret(code, uuid), uuid)
        lock["recovery"] = key_hash(keys.public_bytes(private))
    return {**lock, "since": 0}


def carried(before):
    """The lock of a frame that is signed on `before`, still without its signature."""
    return {field: value for field, value in of(before).items()
            if field in ("key", "recovery", "since")}


def expect_key(frame, master):
    """Fails where the secret gives another key than the one that signs on this frame; returns the
    key."""
    private, lock = keys.signing_key(master, frame["data"]["uuid"]), of(frame)
    if spell(keys.public_bytes(private)) != lock["key"]:
        changed = f": frame {lock['since']} changed it" if lock["since"] else ""
        raise keys.WrongSecret(f"the secret is not this identity's{changed}")
    return private


# Signatures ("What is signed")


def _with(frame, lock):
    data = {**frame["data"], "frameDetails": {**frame["data"]["frameDetails"], "lock": lock}}
    return ibgib.make(frame["ib"], data, frame["rel8ns"])


def _message(before, frame):
    lock = {field: value for field, value in of(frame).items() if field != "signature"}
    unsigned = ibgib.addr_of(_with(frame, lock))
    return f"sync-gib keystone frame v1\n{ibgib.addr_of(before)}\n{unsigned}".encode()


def seal(frame, before, private):
    """The frame, signed as the one after `before`."""
    signature = spell(private.sign(_message(before, frame)))
    return _with(frame, {**of(frame), "signature": signature})


def _check_signature(frame, before, key):
    signature = of(frame).get("signature")
    need(signature, "a frame that is not signed")
    signature = unspell(signature, 64)
    need(is_point(signature[:32]), "a signature with a point of small order")
    try:
        # The library takes no second half that is not reduced, and compares points as bytes.
        Ed25519PublicKey.from_public_bytes(unspell(key, 32)).verify(
            signature, _message(before, frame))
    except InvalidSignature:
        raise Broken("a wrong signature") from None


# Rules


def check_genesis(frame):
    lock = of(frame)
    if lock is None:
        return
    need(lock["since"] == 0 and not lock.keys() & {"signature", "recoveryKey"},
         "the lock of a genesis says that it is another frame's")
    verbs = [pool["config"].get("allowedVerbs") for pool in frame["data"]["challengePools"]
             if pool["id"] == "recover"]
    need(verbs == ([["recover"]] if "recovery" in lock else []),
         "a recovery key without a pool for it alone, or such a pool without the key")


def check_step(before, frame, proof):
    """Checks lock and signature; returns how the step changes the secret, if it does."""
    old, new = of(before), of(frame)
    need((old is None) == (new is None), "the lock came or went")
    if new is None:
        return None
    claim, change, key = proof["claim"], None, old["key"]
    if claim["verb"] == "recover":
        change, key = RECOVERY, new.get("recoveryKey")
        need(key and "recovery" in old and key_hash(unspell(key, 32)) == old["recovery"]
             and proof["solutions"][0]["poolId"] == "recover",
             "not the key and the pool of the recovery code")
        need(new.get("recovery") not in (None, old["recovery"]), "no key of another code")
    else:
        need("recoveryKey" not in new and new.get("recovery") == old.get("recovery"),
             "a change that only a recovery makes")
        if claim["verb"] == "manage" and new["key"] != old["key"]:
            change = ROTATION
    if change:
        need(new["key"] != old["key"] and new["since"] == frame["data"]["n"]
             and claim["target"] == ibgib.addr_of(before), "a renewal that is none")
    else:
        need((new["key"], new["since"]) == (old["key"], old["since"]), "the key changed")
    _check_signature(frame, before, key)
    return change
