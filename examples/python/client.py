"""A client of a sync-gib server, written from docs/protocol.md. See README.md beside this file."""

import argparse
import asyncio
import http.client
import ipaddress
import json
import random
import secrets
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

import websockets
import websockets.exceptions

import ibgib
import keystone
from saga import PAGE, Refused, Session, Strange, expect
from store import Store

TRIES = 20


class Usage(Exception):
    """What was asked for cannot be done."""


class Again(Exception):
    """A session that was kept from an earlier run cannot be entered any more."""


# HTTP (section 5, "HTTP")


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None  # a token goes to the server that gave it, and nowhere else


class Server:
    """The server's HTTP side, for one identity."""

    def __init__(self, url, domain):
        parts = urllib.parse.urlsplit(url)
        is_plain = parts.scheme == "http"
        if parts.scheme not in ("http", "https") or is_plain and not is_loopback(parts.hostname):
            raise Usage(f"{url}: use https; plain http goes to loopback only")
        self.url, self.domain = url.rstrip("/"), domain
        self.opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), NoRedirect)

    def ws_url(self):
        return "ws" + self.url[len("http"):] + "/v1/ws"

    def ask(self, path, body=None, token=None, **query):
        """The lines of an answer; each is JSON."""
        url = f"{self.url}/v1{path}"
        if query:
            url += "?" + urllib.parse.urlencode(query)
        request = urllib.request.Request(url)
        if body is not None:
            request.data = ibgib.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        if token:
            request.add_header("Authorization", f"Bearer {token}")
        try:
            with self.opener.open(request, timeout=180) as answer:
                return [ibgib.loads(line) for line in answer.read().decode().splitlines() if line]
        except urllib.error.HTTPError as error:
            try:
                refusal = json.loads(error.read())["error"]
                code, message = refusal.get("code", "protocol"), refusal.get("message")
            except (ValueError, KeyError, TypeError, AttributeError):
                raise Strange(f"{url} answers {error.code}: no sync-gib server?") from None
            raise Refused(code, message, error.headers.get("Retry-After")) from None

    def of_domain(self, path, **more):
        return self.ask(f"/domains/{ibgib.split(self.domain)[1]}/{path}", **more)

    def identity(self, after=None):
        """I's frames after one, page by page."""
        while True:
            page = self.of_domain("identity", **({"after": after} if after else {}))
            yield from page
            if not page:
                return
            after = ibgib.addr_of(page[-1])

    def latest(self, tjp, token):
        try:
            return self.of_domain("latest", tjp=tjp, token=token)[0]["tip"]
        except Refused as refusal:
            if refusal.code == "not_found":
                return None
            raise

    def graph(self, addr, token):
        return self.of_domain("ibgibs", addr=addr, getGraph="true", live="true", token=token)


def is_loopback(host):
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


# Establish (section 5, steps 1 and 2, and "One proof from one frame")


def fetch_identity(store, server):
    """Stores I's frames that are new here; returns the newest that the server has."""
    newest = store.tips.get(server.domain)
    for frame in server.identity(newest):
        expect(ibgib.tjp_addr(frame) == server.domain, "a frame of another identity")
        store.put([frame])
        newest = ibgib.addr_of(frame)
    return newest


def pending_step(store, domain, master):
    """I' and S's genesis: those that are kept for I's newest frame, else new ones, which are on
    the disk before they are sent."""
    kept, tip = store.state.get("pending"), store.tips[domain]
    if kept and tip in (kept["on"], ibgib.addr_of(kept["frame"])):
        return kept
    saga_id = secrets.token_hex(16)
    details = {"domainIdentity": domain, "sagaId": saga_id}
    while True:
        session = keystone.genesis(keystone.session_secret(master, saga_id),
                                   keystone.session_pools(), details)
        claim = {"verb": "sync", "target": ibgib.addr_of(session)}
        try:
            frame = keystone.sign(store.ibgibs[tip], master, "sync", claim)
            break
        except keystone.Exhausted:
            continue  # another session has another address, which binds other challenges
    store.state["pending"] = {"on": tip, "frame": frame, "session": session}
    store.save()
    return store.state["pending"]


def establish(store, server, master):
    """Claims a session on the server; returns S's genesis, and whether it was kept from before."""
    theirs = fetch_identity(store, server)
    kept = store.state.get("pending")
    step = pending_step(store, server.domain, master)
    frame = step["frame"]
    lacking = [store.ibgibs[addr] for addr in store.line(store.tips[server.domain], theirs)]
    if frame not in lacking:
        lacking.append(frame)
    server.of_domain("evolution", body={"frames": lacking, "session": step["session"]})
    store.put([frame, step["session"]])
    store.save()
    return step["session"], step is kept


async def connected(store, server, master, saga):
    """Establishes, connects, and runs `saga` with the open session."""
    session, is_old = establish(store, server, master)
    no_proxy = {"proxy": None} if int(websockets.__version__.split(".")[0]) >= 15 else {}
    async with websockets.connect(server.ws_url(), max_size=8 << 20, compression=None,
                                  open_timeout=20, **no_proxy) as ws:
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


async def with_retries(store, server, master, saga):
    """Begins anew, with a session of its own, where another device was faster."""
    for tries_left in reversed(range(TRIES)):
        try:
            return await connected(store, server, master, saga)
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


# check (section 8)


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


# The commands


def register(args, master):
    """Makes an identity, or takes over one that the server has."""
    try:
        store = Store.load(args.store)
    except FileNotFoundError:
        store = Store(args.store)
    if not store.state and args.join:
        fetch_identity(store, Server(args.server, args.join))
        details = store.ibgibs[args.join]["data"].get("frameDetails") or {}
        if details.get("kdf", {"algo": "none"})["algo"] != "none":
            raise keystone.WrongSecret("the identity's secret is stretched with Argon2, which Python has not")
        store.state = {"server": args.server, "identity": args.join}
    elif not store.state:
        genesis = keystone.genesis(master, keystone.identity_pools(), {"kdf": {"algo": "none"}})
        store.put([genesis])
        store.state = {"server": args.server, "identity": ibgib.addr_of(genesis)}
    store.save()
    domain = store.state["identity"]
    answer = Server(store.state["server"], domain).ask("/keystones", body=store.ibgibs[domain])
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
        raise keystone.WrongSecret(f"the secret cannot be read: {error}") from error
    master = secret[:-1] if secret.endswith("\n") else secret
    if args.command == "register":
        return register(args, master)
    store = Store.load(args.store)
    server = Server(store.state["server"], store.state["identity"])
    token = store.state.get("token") or {}
    if args.command == "check":
        if token.get("expiresMs", 0) < time.time() * 1000 + 60_000:
            asyncio.run(with_retries(store, server, master, connect_only))
        return check(store, server, store.state["token"]["value"])
    return asyncio.run(with_retries(store, server, master, sync(args.command)))


def main():
    parser = argparse.ArgumentParser(description="A small client of a sync-gib server.")
    parser.add_argument("--store", required=True, help="the NDJSON file that holds everything")
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("register", "push", "pull", "check"):
        command = commands.add_parser(name)
        command.add_argument("--secret-file", required=True)
        if name == "register":
            command.add_argument("--server", required=True, metavar="URL")
            command.add_argument("--join", metavar="I", help="take over this identity")
    for name, what in (("new", "ib"), ("mut8", "tjp")):
        command = commands.add_parser(name)
        command.add_argument(what)
        command.add_argument("data", help="a JSON object")
    try:
        return run(parser.parse_args())
    except Refused as refusal:
        print(f"refused: {refusal}", file=sys.stderr)
        return {"auth": 5, "busy": 3, "timeout": 3, "internal": 3}.get(refusal.code, 1)
    except keystone.WrongSecret as error:
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
