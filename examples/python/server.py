"""The server's HTTP side, and what it supports (docs/protocol.md, section 5, "HTTP", "Versions and
features")."""

import ipaddress
import json
import urllib.error
import urllib.parse
import urllib.request

import ibgib
import lock
from saga import Refused, Strange

# What this side supports.
SUPPORTS = {"Sync-Gib-Protocols": "1", "Sync-Gib-Features": "signing-keys"}


class Usage(Exception):
    """What was asked for cannot be done."""


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
        self.features = set()  # what the newest answer names

    def ws_url(self):
        return "ws" + self.url[len("http"):] + "/v1/ws"

    def ask(self, path, body=None, token=None, **query):
        """The lines of an answer; each is JSON."""
        url = self.url + path
        if query:
            url += "?" + urllib.parse.urlencode(query)
        request = urllib.request.Request(url, headers=SUPPORTS)
        if body is not None:
            request.data = ibgib.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        if token:
            request.add_header("Authorization", f"Bearer {token}")
        try:
            with self.opener.open(request, timeout=180) as answer:
                self._read_supports(answer.headers)
                return [ibgib.loads(line) for line in answer.read().decode().splitlines() if line]
        except urllib.error.HTTPError as error:
            self._read_supports(error.headers)
            try:
                refusal = json.loads(error.read())["error"]
                code, message = refusal.get("code", "protocol"), refusal.get("message")
            except (ValueError, KeyError, TypeError, AttributeError):
                raise Strange(f"{url} answers {error.code}: no sync-gib server?") from None
            raise Refused(code, message, error.headers.get("Retry-After")) from None

    def _read_supports(self, headers):
        """Takes what an answer says that the server supports."""
        protocols, features = (
            {name.strip() for line in headers.get_all(header, []) for name in line.split(",")}
            for header in SUPPORTS)
        if protocols and "1" not in protocols:
            raise Refused("version", "the server does not support protocol 1")
        self.features = features

    def expect_fits(self, genesis):
        """Fails where the server is too old for an identity that is locked."""
        if lock.of(genesis) and "signing-keys" not in self.features:
            raise Refused("version", "the server is too old: it does not check signing keys")

    def of_domain(self, path, **more):
        return self.ask(f"/v1/domains/{ibgib.split(self.domain)[1]}/{path}", **more)

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
