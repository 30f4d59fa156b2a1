"""Compares what is here with what the server has (docs/protocol.md, section 8)."""

import ibgib
import keystone
from saga import expect
from server import Usage



def compare(store, server, token, tjp):
    """What is wrong with a timeline whose latest frame and live graph must be the same."""
    here, there = store.tips[tjp], server.latest(tjp, token)
    if here != there:
        return [f"{here} is the latest here, {there} on the server"]
    theirs = {}
    for one in server.graph(there, token):
        one = ibgib.validate(one)
        theirs[ibgib.addr_of(one)] = one
    problems = [f"{addr} is on one side only" for addr in store.graph(here) ^ theirs.keys()]
    for addr in theirs.keys() & store.ibgibs.keys():
        if ibgib.dumps(theirs[addr]) != ibgib.dumps(store.ibgibs[addr]):
            problems.append(f"{addr} differs")
    return problems


def check_session(store, server, session):
    n, turns = store.n[store.tips[session]], store.state["turns"]
    problems = [] if n == 1 + turns else [f"n is {n}, and {turns} turns went out"]
    claims, before = False, None
    for frame in server.identity():
        if before is None:
            expect(ibgib.addr_of(frame) == server.domain, "another identity's frames")
            keystone.validate_genesis(frame)
        else:
            keystone.validate_step(before, frame)
        before = frame
        claims |= any(proof["claim"] == {"verb": "sync", "target": session}
                      for proof in frame["data"]["proofs"]) and ibgib.addr_of(frame) in store.ibgibs
    return problems + ([] if claims else [f"no frame on both sides claims {session}"])


def check(store, server, token):
    session = store.state.get("session")
    if not session:
        raise Usage("nothing was synced yet: run push or pull first")
    results = [(f"{each['tjp']}: the latest address and the graph are the same",
                compare(store, server, token, each["tjp"])) for each in store.timelines()]
    results.append(("S: the latest address and the graph are the same",
                    compare(store, server, token, session)))
    results.append(("S: n is 1 + the outgoing turns; I claims S on both sides, and is valid",
                    check_session(store, server, session)))
    for what, problems in results:
        print(f"{'FAILED' if problems else 'ok':<7}{what}")
        for problem in problems[:10]:
            print(f"       {problem}")
    failed = any(problems for _, problems in results)
    print("some checks failed" if failed else "ALL CHECKS PASSED")
    return 1 if failed else 0
