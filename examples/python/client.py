"""A client of a sync-gib server, written from docs/protocol.md. See README.md beside this file."""

import argparse
import asyncio
import http.client
import os
import random
import secrets
import sys
import time

import websockets
import websockets.exceptions

import ibgib
import keys
import keystone
import lock
from check import check
from saga import PAGE, Refused, Session, Strange, expect
from server import SUPPORTS, Server, Usage
from store import Store

TRIES = 20


class Again(Exception):
    """A session that was kept from an earlier run cannot be entered any more."""


# Establish (section 5, steps 1 and 2, and "One proof from one frame")


def fetch_identity(store, server):
    """Stores I's frames that are new here; returns the newest that the server has."""
    newest = store.tips.get(server.domain)
    for frame in server.identity(newest):
        expect(ibgib.tjp_addr(frame) == server.domain, "a frame of another identity")
        store.put([frame])
        newest = ibgib.addr_of(frame)
    expect(server.domain in store.ibgibs, "the server has no frame of the identity")
    server.expect_fits(store.ibgibs[server.domain])
    return newest


def master_secret(store, domain, secret):
    """The master secret that signs on I's newest frame: how it is stretched says the frame that
    brought it in (section 4, "Secrets", "Renewals")."""
    tip = store.tip(domain)
    locked = lock.of(tip)
    brought_in = store.ibgibs[store.line(store.tips[domain])[locked["since"] if locked else 0]]
    master = keys.master_secret(secret, ibgib.datum(brought_in, "frameDetails"))
    if locked:
        lock.expect_key(tip, master)
    return master


def pending_step(store, domain, master):
    """I' and S's genesis: those that are kept for I's newest frame, else new ones, which are on
    the disk before they are sent."""
    kept, tip = store.state.get("pending"), store.tips[domain]
    if kept and tip in (kept["on"], ibgib.addr_of(kept["frame"])):
        return kept
    saga_id = secrets.token_hex(16)
    details, is_locked = {"domainIdentity": domain, "sagaId": saga_id}, lock.of(store.tip(domain))
    while True:
        session = keystone.genesis(keys.session_secret(master, saga_id),
                                   keystone.session_pools(), details, is_locked)
        claim = {"verb": "sync", "target": ibgib.addr_of(session)}
        try:
            frame = keystone.sign(store.ibgibs[tip], master, "sync", claim)
            break
        except keystone.Exhausted:
            continue  # another session has another address, which binds other challenges
    store.state["pending"] = {"on": tip, "frame": frame, "session": session}
    store.save()
    return store.state["pending"]


def establish(store, server, secret):
    """Claims a session on the server; returns the master secret, S's genesis, and whether it was
    kept from before."""
    theirs = fetch_identity(store, server)
    master = master_secret(store, server.domain, secret)
    kept = store.state.get("pending")
    step = pending_step(store, server.domain, master)
    frame = step["frame"]
    lacking = [store.ibgibs[addr] for addr in store.line(store.tips[server.domain], theirs)]
    if frame not in lacking:
        lacking.append(frame)
    server.of_domain("evolution", body={"frames": lacking, "session": step["session"]})
    store.put([frame, step["session"]])
    store.save()
    return master, step["session"], step is kept


async def connected(store, server, secret, saga):
    """Establishes, connects, and runs `saga` with the open session."""
    master, session, is_old = establish(store, server, secret)
    version = int(websockets.__version__.split(".")[0])
    more = {"additional_headers" if version >= 14 else "extra_headers": SUPPORTS}
    more.update({"proxy": None} if version >= 15 else {})
    async with websockets.connect(server.ws_url(), max_size=8 << 20, compression=None,
                                  open_timeout=20, **more) as ws:
        session = Session(ws, session, master)
        try:
            store.state["token"] = await session.connect(server.domain)
        except Refused as refusal:
            raise Again(str(refusal)) if is_old and refusal.code == "auth" else refusal
        finally:
            # A session is entered once: whatever came of it, the next one is new.
            store.state.pop("pending", None)
            store.save()
        return await saga(session, store)


async def with_retries(store, server, secret, saga):
    """Begins anew, with a session of its own, where another device was faster."""
    for tries_left in reversed(range(TRIES)):
        try:
            return await connected(store, server, secret, saga)
        except Again:
            continue
        except Refused as refusal:
            if refusal.code not in ("conflict", "busy") or not tries_left:
                raise
            await asyncio.sleep(int(refusal.retry_after or 0) + random.random())


# The saga (section 6)


async def negotiate(session, store):
    """States all that is here; returns the answers about timelines, the stones that the server
    lacks, and what it offers."""
    timelines, stones = store.timelines(), store.stones()
    answers, lacks, offers, offered_stones, at, asks = [], [], [], [], 0, True
    while asks:
        page = timelines[at:at + PAGE], stones[at:at + PAGE]
        at += PAGE
        more = at < max(len(timelines), len(stones))
        ack = await session.turn("init", {"scope": "all", "timelines": page[0], "stones": page[1],
                                          "more": more}, "ack")
        expect([one["tjp"] for one in ack["timelines"]] == [one["tjp"] for one in page[0]],
               "other timelines are answered than were stated")
        expect(set(ack["lacks"]) <= set(page[1]), "a stone is lacking that was not stated")
        answers += ack["timelines"]
        lacks += ack["lacks"]
        offers += ack["offers"]
        offered_stones += ack["offeredStones"]
        asks = more or ack["more"]
    return answers, lacks, offers, offered_stones


def decide(store, answers):
    """What to push, what to pull, and which timelines diverged."""
    pushes, pulls, diverged = [], [], []
    for answer in answers:
        tjp, relation, tip = answer["tjp"], answer["relation"], answer.get("tip", {}).get("addr")
        mine = store.tips[tjp]
        if relation == "unknown":
            pushes.append({"tjp": tjp, "to": mine})
        elif relation == "ahead":
            pulls.append({"tjp": tjp, "tip": tip, "common": mine})
        elif relation == "open" and tip in store.ibgibs and store.reaches(mine, tip):
            pushes.append({"tjp": tjp, "from": tip, "to": mine})
        elif relation == "open":
            diverged.append(tjp)
        else:
            expect(relation == "equal", f"the relation {relation!r} is not known")
    return pushes, pulls, diverged


async def pull(session, store, wants, stones):
    """Fetches what is wanted; returns it, dependencies first."""
    found = {}
    while wants or stones:
        page = {"wants": wants[:PAGE], "wantStones": stones[:PAGE]}
        wants, stones = wants[PAGE:], stones[PAGE:]
        page = {key: value for key, value in page.items() if value}
        got = {ibgib.addr_of(one): one for one in await session.receive(
            page, lambda addr: addr in store.ibgibs or addr in found)}
        # What may arrive is what was asked for, and what that relates to.
        open_ = [want["tip"] for want in page.get("wants", [])] + page.get("wantStones", [])
        asked = set()
        while open_:
            addr = open_.pop()
            if addr in got and addr not in asked:
                asked.add(addr)
                open_.extend(ibgib.deps(got[addr]))
        expect(asked == set(got), "something came that was not asked for")
        found.update(got)
    return list(found.values())


async def push(session, store, pushes, stones):
    certain, known = [], []
    for each in pushes:
        certain += store.line(each["to"], each.get("from"))
        known += [each["from"], each["tjp"]] if "from" in each else []
    return await session.send(certain, stones, known, store) if certain or stones else 0


def sync(direction):
    """A saga that moves things one way and leaves alone what would go the other (section 6,
    "Directions")."""
    async def saga(session, store):
        answers, lacks, offers, offered_stones = await negotiate(session, store)
        pushes, pulls, diverged = decide(store, answers)
        pulls += [{"tjp": offer["tjp"], "tip": offer["tip"]} for offer in offers]
        if direction == "pull":
            pushes, lacks = [], []
        else:
            pulls, offered_stones = [], []
        new_stones = [addr for addr in offered_stones if addr not in store.ibgibs]
        got = await pull(session, store, pulls, new_stones)
        count = await push(session, store, pushes, lacks)
        await session.commit(pushes)
        store.put([*got, *session.kept])
        for each in pulls:
            tip, mine = store.tips[each["tjp"]], each.get("common", each["tjp"])
            expect(tip == each["tip"] and store.reaches(tip, mine), f"{tip} is another tip")
        store.state.update(session=session.tjp, turns=session.turns)
        store.save()
        for each in pulls:
            print(f"pulled {each['tip']}")
        for each in pushes:
            print(f"pushed {each['to']}")
        print(f"turns {session.turns}, sent {count}, received {len(got)}")
        for tjp in diverged:
            print(f"diverged {tjp}: both sides edited it, and this client does not merge",
                  file=sys.stderr)
        return 1 if diverged else 0
    return saga


async def connect_only(session, store):
    """A session for a token alone."""
    store.put(session.kept)
    store.save()


# The commands


def new_code(path):
    """A recovery code, written to a new file that its owner alone can read; none without a path."""
    if not path:
        return None
    code = secrets.token_bytes(keys.CODE_BYTES)
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise Usage(f"{path} is there already") from None
    with open(file, "w", encoding="utf-8") as out:
        out.write(keys.spell_code(code) + "\n")
        out.flush()
        os.fsync(out.fileno())
    return code


def make_identity(secret, recovery_file):
    kdf = keys.new_kdf()
    return keystone.genesis(keys.master_secret(secret, {"kdf": kdf}), keystone.identity_pools(),
                            {"kdf": kdf}, code=new_code(recovery_file))


def register(args, secret):
    """Makes an identity, or takes over one that the server has."""
    try:
        store = Store.load(args.store)
    except FileNotFoundError:
        store = Store(args.store)
    server = Server(store.state.get("server", args.server), store.state.get("identity", args.join))
    server.ask("/health")
    if not store.state and args.join:
        fetch_identity(store, server)
        master_secret(store, args.join, secret)
        store.state = {"server": args.server, "identity": args.join}
    elif not store.state:
        genesis = make_identity(secret, args.recovery_file)
        store.put([genesis])
        store.state = {"server": args.server, "identity": ibgib.addr_of(genesis)}
    domain = store.state["identity"]
    server.expect_fits(store.ibgibs[domain])
    store.save()
    answer = server.ask("/v1/keystones", body=store.ibgibs[domain])
    expect(answer == [{"addr": domain}], "another identity was registered")
    print(domain)
    return 0


def edit(args):
    store = Store.load(args.store)
    data = ibgib.loads(args.data)
    if not isinstance(data, dict):
        raise Usage("the data is not a JSON object")
    if args.command == "new":
        made = ibgib.first_gen(args.ib, data)
    elif args.tjp in store.tips:
        frame, dna = ibgib.next_frame("mut8", store.tip(args.tjp), {"dataToAddOrPatch": data})
        made = [*dna, frame]
    else:
        raise ibgib.Invalid(f"the timeline {args.tjp} is not here")
    store.put(made)
    store.save()
    print(ibgib.tjp_addr(made[-1]) if args.command == "new" else ibgib.addr_of(made[-1]))
    return 0


def run(args):
    if args.command in ("new", "mut8"):
        return edit(args)
    try:
        with open(args.secret_file, encoding="utf-8") as file:
            secret = file.read()
    except OSError as error:
        raise keys.WrongSecret(f"the secret cannot be read: {error}") from error
    secret = secret[:-1] if secret.endswith("\n") else secret
    if args.command == "register":
        return register(args, secret)
    store = Store.load(args.store)
    server = Server(store.state["server"], store.state["identity"])
    token = store.state.get("token") or {}
    if args.command == "check":
        if token.get("expiresMs", 0) < time.time() * 1000 + 60_000:
            asyncio.run(with_retries(store, server, secret, connect_only))
        return check(store, server, store.state["token"]["value"])
    return asyncio.run(with_retries(store, server, secret, sync(args.command)))


def main():
    parser = argparse.ArgumentParser(description="A small client of a sync-gib server.")
    parser.add_argument("--store", required=True, help="the NDJSON file that holds everything")
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("register", "push", "pull", "check"):
        command = commands.add_parser(name)
        command.add_argument("--secret-file", required=True)
        if name == "register":
            command.add_argument("--server", required=True, metavar="URL")
            how = command.add_mutually_exclusive_group()
            how.add_argument("--join", metavar="I", help="take over this identity")
            how.add_argument("--recovery-file", metavar="FILE",
                             help="write the new identity's recovery code there")
    for name, what in (("new", "ib"), ("mut8", "tjp")):
        command = commands.add_parser(name)
        command.add_argument(what)
        command.add_argument("data", help="a JSON object")
    try:
        return run(parser.parse_args())
    except Refused as refusal:
        print(f"refused: {refusal}", file=sys.stderr)
        return {"auth": 5, "busy": 3, "timeout": 3, "internal": 3}.get(refusal.code, 1)
    except keys.WrongSecret as error:
        print(f"error: {error}", file=sys.stderr)
        return 5
    except (Usage, FileNotFoundError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except (Strange, ibgib.Invalid, keystone.Broken, keystone.Exhausted) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except (websockets.exceptions.WebSocketException, http.client.HTTPException,
            asyncio.TimeoutError, OSError) as error:
        print(f"the server or the store cannot be reached: {error}", file=sys.stderr)
        return 3


if __name__ == "__main__":
    sys.exit(main())
