"""ibGibs: JSON as JavaScript keeps it, gibs and transforms (docs/protocol.md, sections 1 and 2).

An ibGib is a dict `{ib, gib, data?, rel8ns?}` whose keys stand in the order of the normal form.
"""

import hashlib
import json
import re
import secrets
import time
from email.utils import formatdate
from json.encoder import encode_basestring

MAX_BYTES = 4 << 20
MAX_DEPTH = 100
MAX_INDEX = 2**32 - 2


class Invalid(Exception):
    """What is no ibGib, or not the one that it says it is."""


# JSON (section 1, "Canonical JSON")


def key_order(key):
    """Array indexes come first, ascending; then UTF-16 code units."""
    if re.fullmatch("0|[1-9][0-9]{0,9}", key) and int(key) <= MAX_INDEX:
        return 0, int(key), b""
    return 1, 0, key.encode("utf-16-be")


def _object(pairs):
    found = dict(pairs)  # of a repeated key the last value, at the first one's place
    if "__proto__" in found:
        raise Invalid('the key "__proto__" cannot be kept')
    if any(key[:1].isdigit() for key in found):
        index_first = sorted(found, key=lambda key: key_order(key)[:2])
        return {key: found[key] for key in index_first}
    return found


def _number(text):
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise Invalid("a number past a double's range")
    return int(number) if number.is_integer() and abs(number) <= 2**53 else number


def _no_constant(name):
    raise Invalid(f"{name} is no JSON")


def _depth(value):
    if isinstance(value, (dict, list)):
        items = value.values() if isinstance(value, dict) else value
        return 1 + max(map(_depth, items), default=0)
    return 0


def loads(text):
    """Reads JSON as `JSON.parse` does; refuses what JavaScript could not keep."""
    try:
        value = json.loads(text, object_pairs_hook=_object, parse_int=_number,
                           parse_float=_number, parse_constant=_no_constant)
        if _depth(value) > MAX_DEPTH:
            raise Invalid(f"JSON nests deeper than {MAX_DEPTH} levels")
        dumps(value).encode()  # fails for a lone surrogate
    except (ValueError, RecursionError) as error:
        raise Invalid(f"not readable as JSON: {error}") from None
    return value


def _double(number):
    """A number as ECMAScript prints it: the digits are Python's, their form is not."""
    mantissa, _, exponent = repr(abs(number)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    fraction = "" if fraction == "0" else fraction
    point = len(whole) + int(exponent or 0)
    digits = (whole + fraction).lstrip("0")
    point -= len(whole + fraction) - len(digits)
    digits = digits.rstrip("0")
    if len(digits) <= point <= 21:
        text = digits.ljust(point, "0")
    elif 0 < point <= 21:
        text = f"{digits[:point]}.{digits[point:]}"
    elif -6 < point <= 0:
        text = f"0.{'0' * -point}{digits}"
    else:
        rest = "." + digits[1:] if len(digits) > 1 else ""
        text = f"{digits[0]}{rest}e{'+' if point > 0 else '-'}{abs(point - 1)}"
    return "-" + text if number < 0 else text


def dumps(value, order=None):
    """Writes JSON as `JSON.stringify` does, in the order that the value holds. With `order`, an
    object's keys are sorted by it, through objects; arrays stay as they are."""
    if isinstance(value, dict):
        keys = sorted(value, key=order) if order else value
        items = (f"{encode_basestring(key)}:{dumps(value[key], order)}" for key in keys)
        return "{" + ",".join(items) + "}"
    if isinstance(value, list):
        return "[" + ",".join(dumps(item) for item in value) + "]"
    if isinstance(value, str):
        return encode_basestring(value)
    if isinstance(value, float):
        return _double(value)
    return json.dumps(value)


def canonical(value):
    """The JSON that gibs are hashes of."""
    return dumps(value, key_order)


# gib and address (section 1)


def sha256(text):
    return hashlib.sha256(text.encode()).hexdigest().upper()


def gib_of(ib, data=None, rel8ns=None):
    """The gib that this content has."""
    whole = sha256(ib)
    if any(rel8ns.values()) if rel8ns else False:
        whole += sha256(canonical(rel8ns))
    if data:  # false for just what JavaScript takes for false, and for what has no keys
        whole += sha256(canonical(data))
    found = sha256(whole)
    tjps = (rel8ns or {}).get("tjp")
    if tjps and not (isinstance(data, dict) and data.get("isTjp")):
        found += "." + tjps[-1].rpartition("^")[2]
    return found


def make(ib, data=None, rel8ns=None):
    """An ibGib of this content, whose keys are put into JavaScript's order before it is hashed."""
    content = {"ib": ib, "gib": "", "data": data, "rel8ns": rel8ns}
    ibgib = loads(dumps({key: value for key, value in content.items() if value is not None}))
    ibgib["gib"] = gib_of(ib, ibgib.get("data"), ibgib.get("rel8ns"))
    return ibgib


def split(addr):
    """An address's ib and gib: the last `^` divides."""
    ib, delimiter, gib = addr.rpartition("^")
    hashes = gib == "gib" or all(
        len(part) == 64 and set(part) <= set("0123456789ABCDEF") for part in gib.split("."))
    if not (ib and delimiter and hashes):
        raise Invalid(f"not an ibGib address: {addr[:200]!r}")
    return ib, gib


def addr_of(ibgib):
    return f"{ibgib['ib']}^{ibgib['gib']}"


def validate(ibgib):
    """Checks all that an ibGib tells of itself; returns it in the normal form."""
    if not isinstance(ibgib, dict) or not isinstance(ibgib.get("ib"), str):
        raise Invalid("not an ibGib")
    ib, rel8ns = ibgib["ib"], ibgib.get("rel8ns")
    if not ib or "^" in ib or not isinstance(rel8ns, (dict, type(None))):
        raise Invalid(f"not an ibGib: {ib[:200]!r}")
    for name, addrs in (rel8ns or {}).items():
        if not isinstance(addrs, list) or not all(isinstance(addr, str) for addr in addrs):
            raise Invalid(f"the relation {name!r} is no list of addresses")
        for addr in addrs:
            split(addr)
    found = gib_of(ib, ibgib.get("data"), rel8ns)
    if ibgib.get("gib") != found:
        raise Invalid(f"{ib}^{ibgib.get('gib')} hashes to {found}")
    kept = {key: ibgib[key] for key in ("ib", "gib", "data", "rel8ns") if key in ibgib}
    if len(dumps(kept).encode()) > MAX_BYTES:
        raise Invalid(f"{addr_of(ibgib)} is larger than {MAX_BYTES} bytes")
    return kept


# Reading an ibGib (section 2)


def datum(ibgib, key):
    data = ibgib.get("data")
    return data.get(key) if isinstance(data, dict) else None


def rel8d(ibgib, name):
    return (ibgib.get("rel8ns") or {}).get(name) or []


def deps(ibgib):
    """What it relates to, primitives left out (section 3)."""
    addrs = (addr for name in ibgib.get("rel8ns") or {} for addr in rel8d(ibgib, name))
    return [addr for addr in dict.fromkeys(addrs) if not addr.endswith("^gib")]


def tjp_addr(ibgib):
    """The address of its timeline's tjp; none for a stone."""
    return addr_of(ibgib) if datum(ibgib, "isTjp") else (rel8d(ibgib, "tjp") or [None])[-1]


def count_of(ibgib):
    """`data.n` where that is a whole number."""
    n = datum(ibgib, "n")
    return n if isinstance(n, int) and not isinstance(n, bool) and n >= 0 else None


# Transforms (section 2)


def now_ms():
    return time.time_ns() // 1_000_000


def stamp(data, now):
    data["timestamp"] = formatdate(now // 1000, usegmt=True)
    data["timestampMs"] = now % 1000


def transform(kind, src, opts, now=None):
    """The new frame and its dna: a list of one, or none where no dna is asked for."""
    now = now_ms() if now is None else now
    opts = {**{key: opts[key] for key in opts if key not in ("src", "srcAddr")}, "type": kind}
    if kind != "fork" and src["gib"] == "gib":
        raise Invalid(f"{addr_of(src)} is a primitive: it can only be forked")
    ib, data, rel8ns = {"fork": _fork, "mut8": _mut8, "rel8": _rel8}[kind](src, opts, now)
    if kind != "fork" and data.get("isTjp"):
        rel8ns.setdefault("tjp", []).append(addr_of(src))
        del data["isTjp"]
    dna = [make(kind, opts, {"ancestor": [f"{kind}^gib"]})] if opts.get("dna") else []
    for stone in dna:
        _append(rel8ns, "dna", addr_of(stone), opts)
    if kind == "fork" and addr_of(src) == "ib^gib":
        rel8ns = None  # a fork of the root relates to nothing
    return make(ib, data or None, rel8ns), dna


def next_frame(kind, tip, opts, now=None):
    """One more frame of a timeline, as section 2 recommends to make them."""
    counted = {"nCounter": True} if datum(tip, "n") is not None else {}
    each = {"dna": True, "linkedRel8ns": ["past", "dna"], **counted}
    return transform(kind, tip, {**each, **opts}, now)


def first_gen(ib, data):
    """A new timeline, forked from the primitive of its ib's first word, as `sync-gib new` makes
    it: all that is made, dependencies first."""
    now, primitive = now_ms(), {"ib": ib.split(" ")[0], "gib": "gib"}
    opts = {"nCounter": True, "destIb": ib, "tjp": {"uuid": True, "timestamp": True}}
    tjp, fork = next_frame("fork", primitive, opts, now)
    frame, mut8 = next_frame("mut8", tjp, {"dataToAddOrPatch": data}, now)
    return [*fork, tjp, *mut8, frame]


def _copy(value):
    return loads(dumps(value or {}))


def _append(rel8ns, name, addr, opts):
    is_linked = name in opts.get("linkedRel8ns", [])
    rel8ns[name] = [addr] if is_linked else [*(rel8ns.get(name) or []), addr]


def _fork(src, opts, now):
    dest_ib, tjp = opts.get("destIb") or "ib", opts.get("tjp") or {}
    if "^" in dest_ib:
        raise Invalid("destIb holds the delimiter '^'")
    data = _copy(src.get("data") if opts.get("cloneData") else None)
    rel8ns = _copy(src.get("rel8ns") if opts.get("cloneRel8ns") else None)
    _append(rel8ns, "ancestor", addr_of(src), opts)
    rel8ns.pop("tjp", None)
    if opts.get("nCounter"):
        data["n"] = 0
    if not opts.get("noTimestamp"):
        stamp(data, now)
    data.pop("isTjp", None)
    if tjp.get("uuid"):
        data["uuid"] = secrets.token_hex(32)
    if tjp.get("uuid") or tjp.get("timestamp"):
        data["isTjp"] = True
    return dest_ib, data, rel8ns


def _mut8(src, opts, now):
    changes = ("mut8Ib", "dataToRename", "dataToRemove", "dataToAddOrPatch")
    if not any(opts.get(key) for key in changes):
        raise Invalid("nothing to change: give another ib or some data")
    data, rel8ns = _copy(src.get("data")), _copy(src.get("rel8ns"))
    _append(rel8ns, "past", addr_of(src), opts)
    _rename(data, opts.get("dataToRename") or {}, True)
    _rename(data, opts.get("dataToRemove") or {}, False)
    _patch(data, opts.get("dataToAddOrPatch") or {})
    if not opts.get("noTimestamp"):
        stamp(data, now)
    _count(data, opts)
    return opts.get("mut8Ib") or src["ib"], data, rel8ns


def _rel8(src, opts, now):
    add, remove = opts.get("rel8nsToAddByAddr") or {}, opts.get("rel8nsToRemoveByAddr") or {}
    if not (add or remove):
        raise Invalid("nothing to change: give relations to add or remove")
    if {*add, *remove} & {"past", "ancestor", "dna", "tjp"}:
        raise Invalid("past, ancestor, dna and tjp cannot be changed by hand")
    data, rel8ns = _copy(src.get("data")), _copy(src.get("rel8ns"))
    _count(data, opts)
    if not opts.get("noTimestamp"):
        stamp(data, now)
    for name, addrs in add.items():
        if not all(addr.partition("^")[0] and "^" in addr for addr in addrs):
            raise Invalid(f"the relation {name!r} holds what is no address")
        rel8ns[name] = list(dict.fromkeys([*(rel8ns.get(name) or []), *addrs]))
    for name, addrs in remove.items():
        rel8ns[name] = [addr for addr in rel8ns.get(name) or [] if addr not in addrs]
        if not rel8ns[name]:
            del rel8ns[name]
    rel8ns.setdefault("past", []).append(addr_of(src))
    for name in opts.get("linkedRel8ns", []):
        if name in rel8ns:
            rel8ns[name] = rel8ns[name][-1:]
    return src["ib"], data, rel8ns


def _rename(data, info, keeps):
    for key, to in info.items():
        if isinstance(to, dict) and key in data:
            _rename(data[key], to, keeps)
        elif key in data:
            value = data.pop(key)
            if keeps:
                data[to] = value


def _patch(data, patch):
    for key, new in patch.items():
        if isinstance(data.get(key), dict) and isinstance(new, dict):
            _patch(data[key], new)
        else:
            data[key] = new


def _count(data, opts):
    if "n" in data:
        data["n"] = data["n"] + 1 if data["n"] >= 0 else 0
    elif opts.get("nCounter"):
        data["n"] = 0
