"""A session over a WebSocket: the proof, signed turns, payloads (docs/protocol.md, sections 5
and 6)."""

import hashlib
from email.utils import parsedate_to_datetime

import ibgib
import keys
import keystone

PAGE = 1000
BATCH_BYTES = 256 << 10
EMPTY = {"count": 0, "bytes": 0, "digest": ""}


class Refused(Exception):
    """The server refused, by HTTP or over the WebSocket."""

    def __init__(self, code, message, retry_after=None):
        super().__init__(f"{code}: {message}")
        self.code, self.retry_after = code, retry_after


class Strange(Exception):
    """The server does not do what the protocol says."""


def expect(holds, what):
    if not holds:
        raise Strange(what)


class PayloadDigest:
    """Counts and hashes a payload as it passes ("Payload digests")."""

    def __init__(self):
        self.count, self.bytes, self.hash = 0, 0, hashlib.sha256()

    def add(self, text):
        self.count += 1
        self.bytes += len(text.encode())
        self.hash.update(text.encode() + b"\n")

    def add_turn(self, turn):
        """For the commit: the digest is over the digests, as they are written."""
        self.count += turn["count"]
        self.bytes += turn["bytes"]
        self.hash.update(turn["digest"].encode())

    def value(self):
        digest = self.hash.hexdigest() if self.count else ""
        return {"count": self.count, "bytes": self.bytes, "digest": digest}


class Session:
    """One saga. `kept` gathers its own ibGibs and S's frames, dependencies first."""

    def __init__(self, ws, session, master):
        self.ws, self.session = ws, session
        self.tjp = ibgib.addr_of(session)
        self.id = session["data"]["frameDetails"]["sagaId"]
        self.secret = keys.session_secret(master, self.id)
        self.frames, self.kept, self.turns, self.sent = [], [], 0, PayloadDigest()

    async def say(self, kind, **fields):
        await self.ws.send(ibgib.dumps({"type": kind, **fields}))

    async def hear(self, *kinds):
        """The next message, of one of these kinds."""
        message = ibgib.loads(await self.ws.recv())
        kind = message.get("type") if isinstance(message, dict) else None
        if kind in ("auth_fail", "sync_error"):
            raise Refused(message.get("code", "protocol"), message.get("message"))
        expect(kind in kinds, f"{kind} came out of turn")
        return message

    # Connect (section 5)

    async def connect(self, domain):
        """Proves S to the server; returns the token."""
        await self.say("hello", protocol=1, domain=domain, session=self.tjp)
        asked = await self.hear("auth_challenge")
        self._sign("connect", asked["challengeUuid"], asked["demandedIds"])
        await self.say("auth_proof", keystone=self.session)
        return (await self.hear("auth_ok"))["token"]

    def _sign(self, verb, target, required=()):
        claim = {"verb": verb, "target": target}
        self.session = keystone.sign(self.session, self.secret, verb, claim, required)
        self.kept.append(self.session)

    # Turns (section 6, "Its ibGibs")

    def _frame(self, role, stage, message, now):
        """The saga's next frame, which holds just what stage, message and place say."""
        data = {"n": len(self.frames)}
        ibgib.stamp(data, now)
        data.update(sagaId=self.id, stage=stage, role=role, sessionIdentityTjpAddr=self.tjp)
        rel8ns = {"ancestor": ["sync_saga^gib"]}
        if self.frames:
            rel8ns.update(past=[self.frames[-1]], tjp=[self.frames[0]])
        else:
            data.update(uuid=self.id, isTjp=True)
        rel8ns["message"] = [message]
        return ibgib.make("sync_saga", data, rel8ns)

    def _context(self, role, n, frame, message):
        data = {"sagaId": self.id, "n": n, "role": role}
        rel8ns = {"ancestor": ["sync_saga_context^gib"], "sagaFrame": [frame],
                  "sagaFrameMsg": [message]}
        return ibgib.make("sync_saga_context", data, rel8ns)

    def _make(self, role, stage, body, now):
        data = {"sagaId": self.id, "stage": stage, "body": body}
        message = ibgib.make("sync_saga_msg", data, {"ancestor": ["sync_saga_msg^gib"]})
        frame = self._frame(role, stage, ibgib.addr_of(message), now)
        frame_addr, message_addr = ibgib.addr_of(frame), ibgib.addr_of(message)
        context = self._context(role, len(self.frames), frame_addr, message_addr)
        self.frames.append(frame_addr)
        self.kept.extend([message, frame, context])
        return message, frame, context

    async def request(self, stage, body):
        """Takes a turn, signed by S."""
        message, frame, context = self._make("sender", stage, body, ibgib.now_ms())
        self._sign("sync", ibgib.addr_of(context))
        self.turns += 1
        await self.say("sync_frame_request", context={
            **context, "sagaFrame": frame, "sagaFrameMsg": message,
            "signedSessionIdentity": self.session})

    def response(self, got, stage):
        """Checks the server's turn by making it again; returns its body."""
        got = dict(got["context"])
        expect(got.pop("signedSessionIdentity", None) is None, "a response carries a signature")
        frame, message = got.pop("sagaFrame"), got.pop("sagaFrameMsg")
        body = ibgib.datum(message, "body")
        now = ibgib.datum(frame, "timestampMs")
        expect(isinstance(body, dict) and isinstance(now, int), "a malformed response")
        now += int(parsedate_to_datetime(ibgib.datum(frame, "timestamp")).timestamp()) * 1000
        made = self._make("receiver", stage, body, now)
        expect(made == (message, frame, got), f"the response is not this saga's next {stage}")
        return body

    async def turn(self, stage, body, answer):
        await self.request(stage, body)
        return self.response(await self.hear("sync_frame_response"), answer)

    # Payloads (section 6, "Streaming")

    async def receive(self, body, has):
        """Asks for what `body` wants; returns the ibGibs that came."""
        await self.request("delta", {"payload": EMPTY, **body})
        found, digest = {}, PayloadDigest()
        while True:
            message = await self.hear("offer", "payload", "sync_frame_response")
            if message["type"] == "offer":
                lacks = ("01"[not has(addr) and addr not in found] for addr in message["addrs"])
                await self.say("need", seq=message["seq"], lacks="".join(lacks))
            elif message["type"] == "payload":
                for one in message["ibGibs"]:
                    digest.add(ibgib.dumps(one))
                    one = ibgib.validate(one)
                    found[ibgib.addr_of(one)] = one
            else:
                done = self.response(message, "delta")
                expect(done == {"payload": digest.value()},
                       "the response has the digest of another payload")
                return list(found.values())

    async def send(self, certain, open_, known, store):
        """Sends frames that are lacking for certain, and of the stones in `open_` and of what all
        these relate to what the server says it lacks; then the turn with its digest."""
        lacking, met, seq = set(certain), {*certain, *open_, *known}, 0
        open_ = [*open_, *self._behind(certain, met, store)]
        while open_:
            page, open_ = open_[:PAGE], open_[PAGE:]
            await self.say("offer", seq=seq, addrs=page)
            answer = await self.hear("need")
            expect(answer["seq"] == seq and len(answer["lacks"]) == len(page), "not this need")
            wanted = [addr for addr, lacks in zip(page, answer["lacks"]) if lacks == "1"]
            lacking.update(wanted)
            open_ += self._behind(wanted, met, store)
            seq += 1
        digest, batch, size = PayloadDigest(), [], 0
        for one in (one for addr, one in store.ibgibs.items() if addr in lacking):
            batch.append(one)
            text = ibgib.dumps(one)
            digest.add(text)
            size += len(text.encode())
            if len(batch) == PAGE or size >= BATCH_BYTES:
                await self.say("payload", ibGibs=batch)
                batch, size = [], 0
        if batch:
            await self.say("payload", ibGibs=batch)
        self.sent.add_turn(digest.value())
        done = await self.turn("delta", {"payload": digest.value()}, "delta")
        expect(done == {"payload": EMPTY}, "the response to a payload has the digest of one")
        return digest.count

    @staticmethod
    def _behind(addrs, met, store):
        """What these relate to and was not met before."""
        found = []
        for dep in (dep for addr in addrs for dep in ibgib.deps(store.ibgibs[addr])):
            if dep not in met:
                met.add(dep)
                found.append(dep)
        return found

    async def commit(self, moves):
        payload = self.sent.value()
        done = await self.turn("commit", {"payload": payload, "moves": moves[:PAGE]}, "commit")
        expect(done == {"payload": {**payload, "digest": ""}, "moves": moves[:PAGE]},
               "the server committed something else")
