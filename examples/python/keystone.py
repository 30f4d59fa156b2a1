"""Keystones: identities that prove themselves by revealing hash preimages, and by a signature
where they are locked (docs/protocol.md, section 4). All hashes here are lowercase hex."""

import hashlib
import re
import secrets

import ibgib
import keys
import lock
from lock import Broken, need

HASH_REVEAL = "hash-reveal-v1"
DIGITS = "0123456789abcdef"
MAX_HASHES = 100_000
FRAME_KEYS = {"n", "timestamp", "timestampMs", "uuid", "challengePools", "proofs", "frameDetails",
              "revocationInfo", "isTjp"}


class Exhausted(Exception):
    """The pool cannot bind this target; another target may do."""


# Hashes


def stretch(config, edge, middle):
    """H(edge + middle + edge), repeated as often as the pool's rounds say."""
    algo = {"SHA-256": hashlib.sha256, "SHA-512": hashlib.sha512}[config["algo"]]
    for _ in range(config["rounds"]):
        middle = algo((edge + middle + edge).encode()).hexdigest()
    return middle


def pool_secret(master, config):
    return stretch(config, config["salt"], master)


# Pools ("Presets", "Pools", "Ids")


def _config(pool_id, verb, size, in_order, at_random, bound, replenish):
    behavior = {"size": size, "replenish": replenish, "selectSequentially": in_order,
                "selectRandomly": at_random, "targetBindingChars": bound}
    return pool_id, {"type": HASH_REVEAL, "salt": f"{pool_id}-{secrets.token_hex(8)}",
                     "allowedVerbs": [verb], "behavior": behavior, "algo": "SHA-256", "rounds": 1}


def identity_pools():
    return [_config("sync", "sync", 64, 2, 2, 16, "top-up"),
            _config("manage", "manage", 8, 2, 2, 0, "replace-all"),
            _config("revoke", "revoke", 12, 4, 4, 0, "scorched-earth")]


def recovery_pool():
    return _config("recover", "recover", 2, 1, 1, 0, "replace-all")


def session_pools():
    return [_config("connect", "connect", 8, 0, 0, 0, "consume"),
            _config("sync", "sync", 10, 2, 2, 0, "top-up")]


def _grow(pool, count, master, used):
    """Adds new challenges at the end, their ids where the buckets are emptiest."""
    secret, buckets = pool_secret(master, pool["config"]), pool["bindingMap"]
    fill = {digit: len(buckets.get(digit, [])) for digit in DIGITS}
    fresh = []
    while len(fresh) < count:
        bucket = min(DIGITS, key=fill.get)
        challenge_id = bucket + secrets.token_hex(8)[1:]
        if challenge_id not in used:
            used.add(challenge_id)
            fill[bucket] += 1
            fresh.append(challenge_id)
    secrets.SystemRandom().shuffle(fresh)
    for challenge_id in fresh:
        solution = stretch(pool["config"], challenge_id, secret)
        hashed = stretch(pool["config"], challenge_id, solution)
        pool["challenges"][challenge_id] = {"type": HASH_REVEAL, "hash": hashed}
        buckets.setdefault(challenge_id[0], []).append(challenge_id)


def _replenish(pool, revealed, master, used):
    strategy, size = pool["config"]["behavior"]["replenish"], pool["config"]["behavior"]["size"]
    keeps = strategy in ("top-up", "consume")
    stays = [key for key in pool["challenges"] if keeps and key not in revealed]
    buckets = {digit: [key for key in ids if key in stays]
               for digit, ids in pool["bindingMap"].items() if keeps}
    challenges = {key: pool["challenges"][key] for key in stays}
    pool = {**pool, "challenges": challenges, "bindingMap": buckets}
    _grow(pool, {"top-up": len(revealed), "replace-all": size}.get(strategy, 0), master, used)
    return pool


# Making frames ("Frames", "Signing")


def genesis(master, pools, details, is_locked=True, code=None):
    """A keystone's first frame; a locked one may have a recovery code."""
    uuid, used, made = secrets.token_hex(32), set(), []
    pools = [(*pool, master) for pool in pools]
    if is_locked:
        details = {**details, "lock": lock.first(master, uuid, code)}
        pools += [(*recovery_pool(), keys.recovery_secret(code, uuid))] if code else []
    for pool_id, config, secret in pools:
        pool = {"id": pool_id, "config": config, "challenges": {}, "bindingMap": {}}
        _grow(pool, config["behavior"]["size"], secret, used)
        made.append(pool)
    data = {"n": 0}
    ibgib.stamp(data, ibgib.now_ms())
    data.update(uuid=uuid, challengePools=made, proofs=[], frameDetails=details, isTjp=True)
    return ibgib.make("keystone", data, {"ancestor": ["keystone^gib"]})


def mandatory(pool, required, target):
    """What a signature of the target takes in any case, and what else it may take."""
    behavior = pool["config"]["behavior"]
    need(all(key in pool["challenges"] for key in required), "a demanded challenge is unknown")
    taken = list(dict.fromkeys(required))
    gib = target.rpartition("^")[2].lower()
    for digit in gib[:behavior["targetBindingChars"]]:
        bucket = (key for key in pool["bindingMap"].get(digit, []) if key not in taken)
        taken.append(next(bucket, None))
        if taken[-1] is None:
            raise Exhausted(f"the bucket {digit!r} has too few challenges")
    rest = [key for key in pool["challenges"] if key not in taken]
    in_order = behavior["selectSequentially"]
    if len(rest) < in_order + behavior["selectRandomly"]:
        raise Exhausted("the pool holds too few challenges")
    return taken + rest[:in_order], rest[in_order:]


def sign(before, master, pool_id, claim, required=()):
    """The frame after `before`, with a proof of the claim."""
    pools = before["data"]["challengePools"]
    pool = next(pool for pool in pools if pool["id"] == pool_id)
    config, secret = pool["config"], pool_secret(master, pool["config"])
    private = lock.expect_key(before, master) if lock.of(before) else None
    chosen, rest = mandatory(pool, required, claim["target"])
    chosen = chosen + secrets.SystemRandom().sample(rest, config["behavior"]["selectRandomly"])
    solutions = []
    for key in chosen:
        value = stretch(config, key, secret)
        if stretch(config, key, value) != pool["challenges"][key]["hash"]:
            raise keys.WrongSecret("the secret is not this identity's")
        solutions.append({"type": HASH_REVEAL, "poolId": pool_id, "challengeId": key,
                          "value": value})
    proof = {"claim": claim, "solutions": solutions}
    if required:
        proof["requiredChallengeIds"] = list(required)
    used = {key for each in pools for key in each["challenges"]}
    after = [_replenish(pool, set(chosen), master, used) if each is pool else each
             for each in pools]
    data = {"n": before["data"]["n"] + 1}
    ibgib.stamp(data, ibgib.now_ms())
    data.update(uuid=before["data"]["uuid"], challengePools=after, proofs=[proof])
    if private:
        data["frameDetails"] = {"lock": lock.carried(before)}
    rel8ns = {"ancestor": ["keystone^gib"], "past": [ibgib.addr_of(before)],
              "tjp": [ibgib.tjp_addr(before)]}
    frame = ibgib.make("keystone", data, rel8ns)
    return lock.seal(frame, before, private) if private else frame


# Validating ("Validating a step", "Bounds")


def _validate_any(frame):
    need(frame["ib"] == "keystone", "the ib is not keystone")
    ibgib.validate(frame)
    need(isinstance(frame.get("data"), dict) and frame["data"].keys() <= FRAME_KEYS,
         "a key that keystones do not have")
    need(frame.get("rel8ns", {}).keys() <= {"ancestor", "past", "tjp"},
         "a relation that keystones do not have")
    need(ibgib.rel8d(frame, "ancestor") == ["keystone^gib"], "the wrong ancestor")
    uuid, pools = frame["data"]["uuid"], frame["data"]["challengePools"]
    need(isinstance(uuid, str) and 1 <= len(uuid.encode()) <= 256, "the uuid is no name")
    need(0 < len(pools) <= 32, "too many pools, or none")
    need(len({pool["id"] for pool in pools}) == len(pools), "two pools of one id")
    for pool in pools:
        need(1 <= pool["config"]["rounds"] <= 10_000, "rounds out of bounds")
        need(len(pool["challenges"]) <= 4096, "too many challenges")


def _validate_pool(pool):
    """Every challenge is well formed, and every bucket lists just its own, in their order."""
    length = {"SHA-256": 64, "SHA-512": 128}[pool["config"]["algo"]]
    buckets = {digit: [] for digit in DIGITS}
    for key, challenge in pool["challenges"].items():
        need(re.fullmatch("[0-9a-f]{16}", key), "a malformed challenge id")
        need(challenge["type"] == HASH_REVEAL, "a challenge of another type")
        need(re.fullmatch(f"[0-9a-f]{{{length}}}", challenge["hash"]), "a malformed challenge")
        buckets[key[0]].append(key)
    need(pool["bindingMap"].keys() <= buckets.keys(), "a bucket that is no hex digit")
    need({digit: pool["bindingMap"].get(digit, []) for digit in DIGITS} == buckets,
         "a bucket lists other challenges than its own")


def _guarded(check):
    """What has another form than frames have breaks a rule like any other."""
    def guarded(*frames):
        try:
            return check(*frames)
        except (LookupError, TypeError, AttributeError, ibgib.Invalid, Exhausted) as error:
            raise Broken(f"not a keystone's frame: {error}") from None
    return guarded


@_guarded
def validate_genesis(frame):
    _validate_any(frame)
    data = frame["data"]
    need(data["n"] == 0 and data["isTjp"] is True and data["proofs"] == [], "not a genesis")
    need(not ibgib.rel8d(frame, "past") and not ibgib.rel8d(frame, "tjp"), "a genesis with a past")
    need("revocationInfo" not in data, "a genesis that revokes")
    ids = []
    for pool in data["challengePools"]:
        need(len(pool["challenges"]) == pool["config"]["behavior"]["size"], "a pool is not full")
        _validate_pool(pool)
        ids.extend(pool["challenges"])
    need(len(set(ids)) == len(ids), "a challenge id twice")
    lock.check_genesis(frame)


@_guarded
def validate_step(before, frame):
    """Checks that `frame` goes on from `before`, which is taken for valid."""
    _validate_any(frame)
    data, old, addr = frame["data"], before["data"], ibgib.addr_of(before)
    need(data["n"] == old["n"] + 1, "n does not go on")
    need(ibgib.rel8d(frame, "past") in ([addr], [*ibgib.rel8d(before, "past"), addr]),
         "past does not go on")
    need(ibgib.rel8d(frame, "tjp") == [ibgib.tjp_addr(before)], "another tjp")
    need(data["uuid"] == old["uuid"] and "isTjp" not in data, "another uuid, or a second tjp")
    need("revocationInfo" not in old, "the frame before is revoked")
    need(len(data["proofs"]) == 1, "not exactly one proof")
    proof = data["proofs"][0]
    claim, solutions = proof["claim"], proof["solutions"]
    if claim["verb"] == "revoke" or "revocationInfo" in data:
        need(claim["verb"] == "revoke" and claim["target"] == addr
             and solutions[0]["poolId"] == "revoke"
             and ibgib.dumps(data["revocationInfo"]["proof"]) == ibgib.dumps(proof),
             "a revocation that is none")
    need([pool["id"] for pool in data["challengePools"]]
         == [pool["id"] for pool in old["challengePools"]], "pools came or went")
    signed = [pool for pool in old["challengePools"] if pool["id"] == solutions[0]["poolId"]]
    need(signed, "a proof from no pool")
    _validate_proof(signed[0], claim, proof)
    change = lock.check_step(before, frame, proof)
    used = {key for pool in old["challengePools"] for key in pool["challenges"]}
    for pool, after in zip(old["challengePools"], data["challengePools"]):
        if change == lock.RECOVERY or change == lock.ROTATION and pool["id"] != "recover":
            _validate_renewed(pool, after, used)
        elif pool is signed[0]:
            _validate_replenished(pool, after, {one["challengeId"] for one in solutions}, used)
        else:
            need(ibgib.dumps(pool) == ibgib.dumps(after), "a pool that did not sign changed")


def _validate_proof(pool, claim, proof):
    config, solutions = pool["config"], proof["solutions"]
    verbs = config.get("allowedVerbs")
    need(not verbs or claim["verb"] in verbs, "the pool does not sign this verb")
    need(all(one["poolId"] == pool["id"] and one["type"] == HASH_REVEAL for one in solutions),
         "solutions of several pools")
    revealed = [one["challengeId"] for one in solutions]
    need(len(set(revealed)) == len(revealed), "a challenge is solved twice")
    need(all(key in pool["challenges"] for key in revealed), "an unknown challenge")
    need(len(solutions) * config["rounds"] <= MAX_HASHES, "too costly to check")
    chosen, rest = mandatory(pool, proof.get("requiredChallengeIds", []), claim["target"])
    need(set(chosen) <= set(revealed), "a challenge is missing that the policy demands")
    need(len(set(rest) & set(revealed)) >= config["behavior"]["selectRandomly"],
         "too few challenges at random")
    for one in solutions:
        hashed = stretch(config, one["challengeId"], one["value"])
        need(hashed == pool["challenges"][one["challengeId"]]["hash"], "a wrong solution")


def _expect_same_config(pool, after):
    changing = ("challenges", "bindingMap")
    need(list(pool) == list(after) and all(
        ibgib.dumps(pool[key]) == ibgib.dumps(after[key]) for key in pool if key not in changing),
        "the pool's config changed")


def _validate_replenished(pool, after, revealed, used):
    _expect_same_config(pool, after)
    strategy, size = pool["config"]["behavior"]["replenish"], pool["config"]["behavior"]["size"]
    stays = [key for key in pool["challenges"]
             if strategy in ("top-up", "consume") and key not in revealed]
    fresh = list(after["challenges"])[len(stays):]
    need(list(after["challenges"])[:len(stays)] == stays, "what stays is not first, in its order")
    need(all(after["challenges"][key] == pool["challenges"][key] for key in stays),
         "a challenge changed")
    need(len(fresh) == {"top-up": len(revealed), "replace-all": size}.get(strategy, 0),
         "another number of new challenges than the strategy gives")
    need(not used & set(fresh), "a challenge id comes back")
    _validate_pool(after)


def _validate_renewed(pool, after, used):
    """The pool of another secret ("Renewals"); `used` gathers the ids that are taken."""
    _expect_same_config(pool, after)
    need(len(after["challenges"]) == pool["config"]["behavior"]["size"],
         "a pool that is made anew is not full")
    need(not used & after["challenges"].keys(), "a challenge id comes back")
    used.update(after["challenges"])
    _validate_pool(after)
