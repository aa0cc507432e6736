"""An issuer of OpenID Connect in the test's process, and a browser that logs in there."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import attrs
from twisted.web.resource import Resource
from twisted.web.server import Site

from storaged.system.clocks import WallClock
from tests.cluster.cluster import Answer, Cluster
from tests.issuer import KEY, key_set, signed
from tests.users import hashed

SECRET = "s3cret & more"


class Issuer(Resource):
    """The issuer.  It lets in whoever comes, as `user`.

    :ivar claims: what its ID tokens say besides, or instead; None leaves a claim out.
    :ivar told: what its endpoint for claims says; None if it has none.
    :ivar told_status: the status with which it says that.
    :ivar sign: makes an ID token of claims.
    :ivar more: what its discovery document says besides.
    :ivar asked: the forms of the requests for tokens.
    """

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.url = ""
        self.user = "bert"
        self.claims: dict[str, Any] = {}
        self.told: dict[str, Any] | None = None
        self.told_status = 200
        self.sign: Any = signed
        self.more: dict[str, Any] = {}
        self.asked: list[dict[str, str]] = []
        self._codes: dict[str, dict[str, str]] = {}
        self._port: Any = None

    def start(self) -> None:
        """Listen."""
        from twisted.internet import reactor

        self._port = reactor.listenTCP(0, Site(self), interface="127.0.0.1")  # type: ignore[attr-defined]
        self.url = f"http://127.0.0.1:{self._port.getHost().port}"

    async def stop(self) -> None:
        """Stop listening."""
        if self._port is not None:
            port, self._port = self._port, None
            await port.stopListening()

    def log_in(self, url: str) -> str:
        """Do what somebody does in the browser; return a code for what was asked."""
        asked = dict(parse_qsl(urlsplit(url).query))
        code = f"code-{len(self._codes)}"
        self._codes[code] = asked
        return code

    def render(self, request: Any) -> bytes:
        """Answer a request."""
        path = request.path.decode()
        if path == "/.well-known/openid-configuration":
            return self._json(self._discovery())
        if path == "/keys":
            return key_set(KEY)
        if path == "/token":
            return self._token(request)
        if path == "/userinfo" and request.getHeader("Authorization") == "Bearer access":
            request.setResponseCode(self.told_status)
            return self._json(self.told)
        request.setResponseCode(404)
        return b""

    @staticmethod
    def _json(document: Any) -> bytes:
        return json.dumps(document).encode()

    def _discovery(self) -> dict[str, Any]:
        url = self.url
        found = {
            "issuer": url,
            "jwks_uri": f"{url}/keys",
            "authorization_endpoint": f"{url}/authorize?tenant=1",
            "token_endpoint": f"{url}/token",
            "end_session_endpoint": f"{url}/logout",
            **({} if self.told is None else {"userinfo_endpoint": f"{url}/userinfo"}),
        }
        return {**found, **self.more}

    def _token(self, request: Any) -> bytes:
        form = {name.decode(): values[0].decode() for name, values in request.args.items()}
        form["authorization"] = request.getHeader("Authorization") or ""
        self.asked.append(form)
        asked = self._codes.pop(form.get("code", ""), None)
        if asked is None or not self._is_proven(asked, form):
            request.setResponseCode(400)
            return self._json({"error": "invalid_grant"})
        now_s = WallClock().now_ms() // 1000
        said = {
            "iss": self.url,
            "aud": asked["client_id"],
            "sub": self.user,
            "email": self.user,
            "nonce": asked["nonce"],
            "iat": now_s,
            "exp": now_s + 300,
            **self.claims,
        }
        token = self.sign({name: value for name, value in said.items() if value is not None})
        return self._json({"id_token": token, "access_token": "access", "token_type": "Bearer"})

    @staticmethod
    def _is_proven(asked: Mapping[str, str], form: Mapping[str, str]) -> bool:
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        is_secret = form["authorization"] == "Basic " + base64.b64encode(b"console:s3cret%20%26%20more").decode()
        same = asked["code_challenge"] == challenge and asked["redirect_uri"] == form.get("redirect_uri")
        return same and asked["code_challenge_method"] == "S256" and is_secret


@attrs.define
class Browser:
    """A browser with its cookies.

    :param base: what the URLs of the front begin with.
    """

    cluster: Cluster
    base: str = ""
    cookies: dict[str, str] = attrs.Factory(dict)
    headers: dict[str, str] = attrs.Factory(dict)

    async def get(self, path: str, **headers: str) -> Answer:
        """Open a page of the front."""
        return await self.ask("GET", path, Accept="text/html", **headers)

    async def ask(self, method: str, path: str, data: bytes | None = None, **headers: str) -> Answer:
        """Send a request, with the cookies that belong to its path."""
        sent = "; ".join(f"{name}={each.split(';')[0]}" for name, each in self.cookies.items() if _fits(each, path))
        answer = await self.cluster.ask(method, path, data, **{**self.headers, "Cookie": sent or "none=1", **headers})
        for cookie in answer.headers.getRawHeaders("Set-Cookie") or []:
            name, _, rest = cookie.partition("=")
            if "Max-Age=0" in rest:
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = rest
        return answer

    async def begin(self, then: str = "/") -> str:
        """Follow the link to the issuer; return the URL that it leads to."""
        answer = await self.get(f"{self.base}/.splitd/oidc/login?next={then}")
        assert answer.code == 303, answer.text
        return answer.header("Location") or ""

    async def come_back(self, url: str, code: str, **more: str) -> Answer:
        """Come back from the issuer with a code."""
        asked = dict(parse_qsl(urlsplit(url).query))
        query = "&".join(f"{name}={value}" for name, value in {"code": code, "state": asked["state"], **more}.items())
        return await self.get(f"{self.base}/.splitd/oidc/back?{query}")

    async def log_in(self, issuer: Issuer, then: str = "/", **more: str) -> Answer:
        """Log in at the issuer; return the last answer of the front."""
        url = await self.begin(then)
        return await self.come_back(url, issuer.log_in(url), **more)

    async def me(self) -> Any:
        """Return what the front knows of the one who asks."""
        return json.loads((await self.ask("GET", f"{self.base}/.splitd/api/me")).body)


def _fits(cookie: str, path: str) -> bool:
    place = cookie.partition("Path=")[2].partition(";")[0]
    return path.startswith(place)


def write_sign_in(path: Path, issuer: Issuer, *, sign_in: str = "", more: str = "") -> None:
    """Write a file of users: anna with a password, the group staff for /staff, and the issuer."""
    secret = path.with_name("secret")
    secret.write_text(SECRET + "\n")
    path.write_text(
        f"users:\n  anna:\n    password: {hashed('anna-pw')}\n    grants: [{{path: /, allow: [read, write, admin]}}]\n"
        "groups:\n  staff: {grants: [{path: /staff, allow: [read, write]}]}\n"
        f"oidc:\n  issuer: '{issuer.url}'\n  audience: api\n  user_claim: email\n  groups_claim: groups\n{more}"
        f"  sign_in: {{client: console, secret_file: '{secret}', name: The Office{sign_in}}}\n"
    )
