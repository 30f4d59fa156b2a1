"""Runs the captured cases of tests/vectors/ against this code: `python3 vectors.py [FOLDER]`."""

import pathlib
import sys

import ibgib
import keystone


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

    frames = cases("keystone.json")["frames"]
    keystone.validate_genesis(frames[0])
    for before, frame in zip(frames, frames[1:]):
        keystone.validate_step(before, frame)
    print("all vectors hold")


if __name__ == "__main__":
    here = pathlib.Path(__file__).resolve()
    main(pathlib.Path(sys.argv[1]) if sys.argv[1:] else here.parents[2] / "tests" / "vectors")
