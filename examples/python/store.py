"""A space: closed graphs only (docs/protocol.md, section 3), kept in one NDJSON file whose first
line is the client's state and whose other lines are ibGibs, dependencies first."""

import os

import ibgib
import keystone

DNA = {"fork^gib", "mut8^gib", "rel8^gib", "plan^gib"}


class Store:
    """Everything in memory; `save` replaces the file as a whole, so a kill leaves old or new."""

    def __init__(self, path):
        self.path = path
        self.state = {}
        self.ibgibs = {}  # by address, dependencies first
        self.n = {}  # each frame's count
        self.tips = {}  # by tjp address

    @classmethod
    def load(cls, path):
        """Reads a file; whatever stands in it is checked anew."""
        store = cls(path)
        with open(path, encoding="utf-8") as lines:
            store.state = ibgib.loads(next(lines))
            store.put([ibgib.loads(line) for line in lines])
        return store

    def save(self):
        part = f"{self.path}.part"
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w",
                  encoding="utf-8") as out:
            for value in (self.state, *self.ibgibs.values()):
                out.write(ibgib.dumps(value) + "\n")
            out.flush()
            os.fsync(out.fileno())
        os.replace(part, self.path)

    def put(self, batch):
        """Takes ibGibs, dependencies first: all of them, or none where one breaks a rule."""
        before = dict(self.ibgibs), dict(self.n), dict(self.tips)
        try:
            for one in batch:
                self._add(ibgib.validate(one))
        except Exception:
            self.ibgibs, self.n, self.tips = before
            raise

    def _add(self, one):
        addr, tjp = ibgib.addr_of(one), ibgib.tjp_addr(one)
        if addr in self.ibgibs:
            return
        for dep in ibgib.deps(one):
            if dep not in self.ibgibs:
                raise ibgib.Invalid(f"{addr} relates to {dep}, which is missing")
        befores = [*ibgib.rel8d(one, "past")[-1:], *ibgib.rel8d(one, "graftorphan")[-1:]]
        befores = befores if tjp else []
        n = ibgib.count_of(one)
        n = max((self.n[each] + 1 for each in befores), default=0) if n is None else n
        for each in befores:
            if not self.n[each] < n <= max(map(self.n.get, befores)) + 2**20:
                raise ibgib.Invalid(f"the count of {addr} does not grow along its past")
        if one["ib"] == "keystone":
            self._check_keystone(one, befores)
        self.ibgibs[addr], self.n[addr] = one, n
        if tjp and n >= self.n.get(self.tips.get(tjp), 0):
            self.tips[tjp] = addr

    def _check_keystone(self, frame, befores):
        if not befores:
            return keystone.validate_genesis(frame)
        if self.tips[ibgib.tjp_addr(frame)] != befores[0]:
            raise keystone.Broken(f"{befores[0]} has a successor already: the keystone is forked")
        return keystone.validate_step(self.ibgibs[befores[0]], frame)

    def tip(self, tjp):
        """The newest frame of a timeline."""
        return self.ibgibs[self.tips[tjp]]

    def timelines(self):
        """`{tjp, tip, n}` of each timeline of data."""
        return [{"tjp": tjp, "tip": tip, "n": self.n[tip]} for tjp, tip in self.tips.items()
                if is_data(tjp)]

    def stones(self):
        """Stones of data that nothing relates to, dna left out."""
        related = {dep for one in self.ibgibs.values() for dep in ibgib.deps(one)}
        return [addr for addr, one in self.ibgibs.items()
                if not ibgib.tjp_addr(one) and addr not in related and is_data(addr)
                and not DNA & set(ibgib.rel8d(one, "ancestor"))]

    def line(self, tip, common=None):
        """The frames that `past` leads to from `tip`, oldest first, without `common` and before."""
        frames = []
        while tip and tip != common:
            frames.append(tip)
            tip = (ibgib.rel8d(self.ibgibs[tip], "past") or [None])[-1]
        return frames[::-1]

    def reaches(self, tip, addr):
        """Whether `tip` leads to `addr` by `past` and `graftorphan`."""
        seen, open_ = set(), [tip]
        while open_:
            at = open_.pop()
            if at == addr:
                return True
            if at not in seen:
                seen.add(at)
                for name in ("past", "graftorphan"):
                    open_.extend(ibgib.rel8d(self.ibgibs[at], name)[-1:])
        return False

    def graph(self, root):
        """The live dependency graph: addresses (section 3)."""
        found, open_ = set(), [root]
        while open_:
            at = open_.pop()
            if at not in found:
                found.add(at)
                open_.extend(ibgib.deps(self.ibgibs[at]))
                tjp = ibgib.tjp_addr(self.ibgibs[at])
                open_.extend([self.tips[tjp]] if tjp else [])
        return found


def is_data(addr):
    """Keystones and sagas are synced by themselves (section 6)."""
    ib = ibgib.split(addr)[0]
    return ib != "keystone" and not ib.startswith("sync_saga")
