"""Runs the captured cases of tests/vectors/ against this code: `python3 vectors.py [FOLDER]`."""

import pathlib
import sys

import ibgib
import keys
import keystone
import lock


def main(folder):
    def cases(name):
        return ibgib.loads((folder / name).read_text("utf-8"))

    for case in cases("gib.json"):
        read = ibgib.loads(case["ibgib_json"])
        found = ibgib.gib_of(read["ib"], read.get("data"), read.get("rel8ns"))
        assert found == case["gib"], case["note"]

    for case in cases("transforms.json"):
        opts, note = case["opts"], case["note"]
        try:
            frame, dnas = ibgib.transform(case["kind"], opts["src"], opts, case["now_ms"])
        except ibgib.Invalid as error:
            assert case.get("error"), f"{note}: {error}"
            continue
        assert not case.get("error"), f"{note}: an error is expected"
        assert [frame, *dnas] == [case["new_ibgib"], *case["dnas"]], note

    for case in cases("hash-reveal.json"):
        pool_secret = keystone.pool_secret(case["masterSecret"], case["config"])
        assert pool_secret == case["poolSecret"]
        for challenge in case["challenges"]:
            solution = keystone.stretch(case["config"], challenge["challengeId"], pool_secret)
            hashed = keystone.stretch(case["config"], challenge["challengeId"], solution)
            assert [solution, hashed] == [challenge["solution"], challenge["challenge"]]

    check_history(cases("keystone.json")["frames"])
    check_secrets()
    check_points()
    check_locked(cases("locked-keystone.json"))
    print("all vectors hold")


def check_history(frames):
    keystone.validate_genesis(frames[0])
    for before, frame in zip(frames, frames[1:]):
        keystone.validate_step(before, frame)


def check_secrets():
    """The numbers that section 4 gives under "Secrets" and "Recovery codes"."""
    kdf = {"algo": "argon2id", "salt": "07" * 16, "mKib": 8192, "t": 1, "p": 1}
    master = keys.master_secret("open sesame", {"kdf": kdf})
    assert master == "06583d4ae96faf619793dd8a945b9de0e8b931f32071b979a877adba349e954b"
    for raw in (None, {"lock": {}}, {"lock": {}, "kdf": {"algo": "none"}}):
        assert keys.master_secret("open sesame", raw) == "open sesame"
    for unknown in ({"sagaId": "x"}, {"kdf": {"algo": "md5"}}, {"kdf": {**kdf, "t": 17}}, []):
        try:
            keys.master_secret("open sesame", unknown)
        except keys.WrongSecret:
            continue
        raise AssertionError(f"{unknown} says how a secret is stretched")
    session = keys.session_secret(master, "14f80075000000000000000000000000")
    assert session == "fa6560cfa2bc1fbcb2d3692b68e741cd9eff9338cdd504b53e3ea1ce8070072c"
    text = "D5J6-YV8W-X54X-DBAH-5B8J-5NZE-RSXM-YK3M-XMKA"
    code = keys.read_code(f" {text.lower().replace('1', 'l').replace('-', '')}\n")
    assert keys.spell_code(code) == text
    uuid = "acba8543009bf7de6665f3322ee9de1702a7882528a83f3e612e4aeb1d5eb711"
    secret = keys.recovery_secret(code, uuid)
    assert secret == "cced18f58be600e9952a089d648f311fa50782c72f49b7c582c37597b94528e4"


def check_locked(case):
    frames, secrets = case["frames"], case["masterSecrets"]
    check_history(frames)
    uuid = frames[0]["data"]["uuid"]
    codes = [keys.recovery_secret(keys.read_code(text), uuid) for text in case["recoveryCodes"]]
    signs, recovers = iter(secrets), iter(codes)
    secret, code = next(signs), next(recovers)
    assert lock.of(frames[0]) == lock.first(secret, uuid, keys.read_code(case["recoveryCodes"][0]))
    for before, frame in zip(frames, frames[1:]):
        verb = frame["data"]["proofs"][0]["claim"]["verb"]
        signer = keys.signing_key(code if verb == "recover" else secret, uuid)
        if verb in ("manage", "recover"):
            secret = next(signs)
        if verb == "recover":
            code = next(recovers)
        # A signature is that of the key and the text alone, so it is made again to the byte.
        assert lock.seal(changed(frame, "signature"), before, signer) == frame, verb
        lock.expect_key(frame, secret)
        for pool in frame["data"]["challengePools"]:
            owner = code if pool["id"] == "recover" else secret
            for key, challenge in pool["challenges"].items():
                solution = keystone.stretch(pool["config"], key,
                                            keystone.pool_secret(owner, pool["config"]))
                hashed = keystone.stretch(pool["config"], key, solution)
                assert hashed == challenge["hash"], (verb, pool["id"])
        check_refusals(before, frame, signer)


def changed(frame, field=None, **fields):
    """The frame without a field of its lock, and with these in it; without its lock where there is
    neither."""
    details = dict(frame["data"]["frameDetails"])
    held = {**details.pop("lock"), **fields}
    held.pop(field, None)
    if field or fields:
        details["lock"] = held
    return ibgib.make("keystone", {**frame["data"], "frameDetails": details}, frame["rel8ns"])


def check_refusals(before, frame, signer):
    """What else a lock may say is refused, whoever signs it."""
    held, other = lock.of(frame), keys.signing_key("another secret", "")
    other_key = lock.spell(keys.public_bytes(other))
    forged = [changed(frame), changed(frame, "signature"), changed(frame, extra=0),
              changed(frame, signature=held["signature"] + "=="),
              lock.seal(frame, before, other), lock.seal(frame, frame, signer)]
    unsigned = [changed(frame, "recovery"), changed(frame, since=held["since"] + 1),
                changed(frame, since=held["since"] + 1, key=other_key)]
    if "recoveryKey" in held:
        unsigned += [changed(frame, "recoveryKey"), changed(frame, recoveryKey=other_key)]
    else:
        unsigned += [changed(frame, recoveryKey=held["key"]),
                     changed(frame, recovery=lock.key_hash(b"another"))]
    proof = frame["data"]["proofs"][0]
    for solutions in ([], [{**one, "poolId": "none"} for one in proof["solutions"]]):
        data = {**frame["data"], "proofs": [{**proof, "solutions": solutions}]}
        unsigned.append(ibgib.make("keystone", data, frame["rel8ns"]))
    for one in [*forged, *(lock.seal(one, before, signer) for one in unsigned)]:
        try:
            keystone.validate_step(before, one)
        except keystone.Broken:
            continue
        raise AssertionError(f"this step was taken: {ibgib.dumps(one['data']['frameDetails'])}")


def check_points():
    """Of small order are 1, 2, 4 and 8 times a point of order 8; 3 is a y of the curve, and so it
    is no second time as a number past the field."""
    eighth = bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05")
    weak = [eighth, *(y.to_bytes(32, "little") for y in (0, 1, lock.P - 1))]
    assert not any(map(lock.is_point, weak))
    assert lock.is_point((3).to_bytes(32, "little"))
    assert not lock.is_point((lock.P + 3).to_bytes(32, "little"))
    assert not lock.is_point((2).to_bytes(32, "little")), "no point has this y"


if __name__ == "__main__":
    here = pathlib.Path(__file__).resolve()
    main(pathlib.Path(sys.argv[1]) if sys.argv[1:] else here.parents[2] / "tests" / "vectors")
