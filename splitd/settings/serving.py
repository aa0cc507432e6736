"""The settings that say where clients and operators connect, and what they may do."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from splitd.access.exposure import is_local
from splitd.model.cors import EXPOSED, HEADERS, METHODS, Cors, make_cors
from splitd.model.workers import AUTO, MOST_WORKERS, choose_workers
from splitd.settings.storing import Storing
from storaged.http import HEAD_TIMEOUT_S, IDLE_LIMIT, OwnNames, parse_authority, parse_networks
from storaged.system.words import Words


class Serving(Storing, frozen=True, forbid_unknown_fields=True):
    """Where clients and operators connect, and what they may do."""

    listen: Annotated[
        str,
        msgspec.Meta(
            description="Where clients connect: a Twisted endpoint. [default: tcp:8080:interface=127.0.0.1]",
            min_length=1,
        ),
    ] = "tcp:8080:interface=127.0.0.1"
    admin: Annotated[
        str,
        msgspec.Meta(
            description="Where operators connect: a Twisted endpoint. [default: tcp:8081:interface=127.0.0.1]",
            min_length=1,
        ),
    ] = "tcp:8081:interface=127.0.0.1"
    s3: Annotated[
        str,
        msgspec.Meta(
            description="Where programs made for Amazon S3 connect: a Twisted endpoint; empty for nowhere. It is only "
            "listened on if there are keys: those of users, or that of s3_key_file. "
            "[default: tcp:8082:interface=127.0.0.1]"
        ),
    ] = "tcp:8082:interface=127.0.0.1"
    s3_key_file: Annotated[
        str,
        msgspec.Meta(
            description="The file of the only key for S3 if there are no users: its access key and its secret key, on "
            "a line each. [default: none]"
        ),
    ] = ""
    s3_region: Annotated[
        str,
        msgspec.Meta(
            description="The region that clients of S3 sign for. [default: us-east-1]", pattern=r"\A[a-z0-9-]{1,64}\Z"
        ),
    ] = "us-east-1"
    s3_domain: Annotated[
        Words,
        msgspec.Meta(
            description="The host names below which each bucket has a name of its own, as in bucket.s3.example.org. "
            "[default: none, and buckets stand in the path]"
        ),
    ] = Words()
    s3_etag: Annotated[
        Literal["md5", "version"],
        msgspec.Meta(
            description="What the ETag of an object is that came by S3: its MD5, which some clients compare, or only "
            "a name of the version, which takes no time. [default: md5]"
        ),
    ] = "md5"
    listen_tls: Annotated[
        str,
        msgspec.Meta(
            description="Where clients connect with TLS, besides listen: a Twisted endpoint like tls:FOLDER:8443, "
            "which reads the certificates of a folder, again when they change. listen and admin can be like that, too. "
            "[default: nowhere]"
        ),
    ] = ""
    redirect: Annotated[
        str,
        msgspec.Meta(
            description="Where clients connect that are led to the same URL with TLS: a Twisted endpoint like tcp:80. "
            "[default: nowhere]"
        ),
    ] = ""
    redirect_port: Annotated[
        int,
        msgspec.Meta(
            description="The port that they are led to; 0 for that of the endpoint with TLS. [default: 0]",
            ge=0,
            le=65535,
        ),
    ] = 0
    hsts_s: Annotated[
        int,
        msgspec.Meta(
            description="How long browsers that came by TLS shall use nothing else for this host, on any port; 0 to "
            "leave that to them. [default: 15552000, half a year]",
            ge=0,
        ),
    ] = 15_552_000
    users: Annotated[
        str,
        msgspec.Meta(
            description="The YAML file of the users, and of what they may do. "
            "[default: none: everybody may do everything]"
        ),
    ] = ""
    limits: Annotated[
        str,
        msgspec.Meta(
            description="The YAML file of the limits: requests at once, rates, the largest file, quotas. "
            "[default: none: only the connections of an address are limited]"
        ),
    ] = ""
    open_to_all: Annotated[
        bool,
        msgspec.Meta(
            description="Whether listen and admin may be reached from other machines although there are no users. "
            "[default: false]"
        ),
    ] = False
    names: Annotated[
        Words,
        msgspec.Meta(
            description="The names by which clients and operators know the front, each with its port unless that is 80 "
            "or 443. If there are some, requests by other names are refused, but for loopback names and the "
            "address of the connection. [default: none, and clients may use any]"
        ),
    ] = Words()
    base_path: Annotated[
        str,
        msgspec.Meta(
            description="The path that the URLs of all files begin with, like /files, if a proxy passes only that on. "
            "[default: none]",
            pattern=r"\A((/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+)?\Z",
        ),
    ] = ""
    console: Annotated[
        bool,
        msgspec.Meta(
            description="Whether browsers that open a collection get the console, and not a plain list. [default: true]"
        ),
    ] = True
    trusted_proxies: Annotated[
        Words,
        msgspec.Meta(
            description="Addresses and networks of proxies whose X-Forwarded-For, X-Forwarded-Host, "
            "X-Forwarded-Proto and Forwarded count. [default: 127.0.0.0/8,::1]"
        ),
    ] = Words(["127.0.0.0/8", "::1"])
    cors_origins: Annotated[
        Words,
        msgspec.Meta(
            description="The origins of the web pages that may use the store from browsers, like https://app.example; "
            "* for all. [default: none but the store's own]"
        ),
    ] = Words()
    cors_methods: Annotated[
        Words,
        msgspec.Meta(description="The methods that these pages may use. [default: all]"),
    ] = Words(METHODS)
    cors_headers: Annotated[
        Words,
        msgspec.Meta(description="The headers that these pages may send. [default: those that the store reads]"),
    ] = Words(HEADERS)
    cors_exposed: Annotated[
        Words,
        msgspec.Meta(
            description="The headers of answers that these pages may read. [default: those that the store sends]"
        ),
    ] = Words(EXPOSED)
    cors_credentials: Annotated[
        bool,
        msgspec.Meta(
            description="Whether browsers may send logins of their own for these pages. A page that sets Authorization "
            "itself does not need it. [default: false]"
        ),
    ] = False
    cors_max_age_s: Annotated[
        int,
        msgspec.Meta(description="How long a browser may keep what it was allowed. [default: 600]", ge=0),
    ] = 600
    access_log: Annotated[
        str,
        msgspec.Meta(
            description="A file that gets a line for each request of clients; empty for none. [default: none]"
        ),
    ] = ""
    access_log_format: Annotated[
        Literal["combined", "json"],
        msgspec.Meta(
            description="The lines of the access log: combined, as those of Apache and nginx, or json. "
            "[default: combined]"
        ),
    ] = "combined"
    audit_log: Annotated[
        str,
        msgspec.Meta(
            description="A file that gets a JSON line for each change that a client or an operator has made; empty for "
            "none. [default: none]"
        ),
    ] = ""
    traces: Annotated[
        bool,
        msgspec.Meta(
            description="Whether requests are traced by OpenTelemetry, which must be installed; its own variables "
            "(OTEL_...) say where the traces go. [default: false]"
        ),
    ] = False
    node_request_ids: Annotated[
        bool,
        msgspec.Meta(
            description="Whether the nodes are told the ids of the clients' requests, for their access logs. "
            "[default: false]"
        ),
    ] = False
    client_timeout_s: Annotated[
        float,
        msgspec.Meta(description="How long a client may send or take nothing during a transfer. [default: 60]", gt=0),
    ] = 60.0
    idle_timeout_s: Annotated[
        float, msgspec.Meta(description="How long a connection is kept without a request. [default: 120]", gt=0)
    ] = 120.0
    head_timeout_s: Annotated[
        float,
        msgspec.Meta(
            description="How long the head of a request may take, from its first byte to its last. [default: 30]", gt=0
        ),
    ] = HEAD_TIMEOUT_S
    idle_connections: Annotated[
        int,
        msgspec.Meta(
            description="How many idle connections one address may keep; beyond that, the one that has been idle "
            "longest is closed. 0 for no limit. [default: 1024]",
            ge=0,
        ),
    ] = IDLE_LIMIT
    workers: Annotated[
        Annotated[int, msgspec.Meta(ge=0, le=MOST_WORKERS)] | Literal["auto"],
        msgspec.Meta(
            description="How many processes serve clients, each on a core of its own, beside one that keeps the "
            "catalog. With 0 or 1, one process does all. [default: auto: 1 with one or two cores, else half as many as "
            "there are cores, at most 8]"
        ),
    ] = AUTO
    stop_timeout_s: Annotated[
        float,
        msgspec.Meta(
            description="How long a stop waits for pending requests. [default: 20]",
            ge=0,
        ),
    ] = 20.0

    def own_names(self) -> OwnNames:
        """Return the front's own names, and the proxies that it trusts.

        :raise ValueError: a name or a network cannot be read.
        """
        try:
            names = frozenset(map(parse_authority, self.names))
        except ValueError as problem:
            raise ValueError(f"names: {problem}") from problem
        try:
            return OwnNames(names, parse_networks(self.trusted_proxies))
        except ValueError as problem:
            raise ValueError(f"trusted_proxies: {problem}") from problem

    def cors(self) -> Cors | None:
        """Return which pages of other origins may use the store; None for no page.

        :raise ValueError: a setting cannot be used.
        """
        return make_cors(
            self.cors_origins,
            self.cors_methods,
            self.cors_headers,
            self.cors_exposed,
            credentials=self.cors_credentials,
            max_age_s=self.cors_max_age_s,
        )

    def has_tls(self) -> bool:
        """Return whether clients can connect with TLS."""
        return bool(self.listen_tls) or self.listen.startswith(("tls:", "ssl:"))

    def count_workers(self, cores: int, platform: str) -> int:
        """Return how many processes serve clients; 1 for one process that does all.

        :param cores: how many there are.
        :param platform: the system, as `sys.platform` names it.
        :raise ValueError: there shall be workers, and this system does not have what they need.
        """
        if isinstance(self.workers, str):
            endpoints = self.listen, self.listen_tls, self.s3, self.redirect
            is_shared = not any(each.startswith(("ssl:", "unix:")) for each in endpoints)
            return choose_workers(cores) if platform == "linux" and is_shared else 1
        if self.workers > 1 and platform != "linux":
            raise ValueError(f"workers: more than one needs Linux, and this is {platform}")
        return max(1, self.workers)

    def refuse_exposed(self) -> None:
        """Refuse settings with which everybody on the network could read and delete all files, unless they say so.

        :raise ValueError: there are no users, an endpoint can be reached from other machines, and `open_to_all` is not
            set.
        """
        if self.users or self.open_to_all:
            return
        for key, endpoint in (
            ("listen", self.listen),
            ("listen_tls", self.listen_tls),
            ("admin", self.admin),
        ):
            if endpoint and not is_local(endpoint):
                raise ValueError(
                    f"{key}: {endpoint} can be reached from other machines, and without users everybody there could "
                    "read and delete all files.  Name a file of users (users: FILE; `splitctl user add` makes one), "
                    "listen on this machine only (interface=127.0.0.1), or set open_to_all: true (--open-to-all) if "
                    "you mean it"
                )

    def __post_init__(self) -> None:
        super().__post_init__()
        self.cors()
        self.refuse_exposed()
        if self.listen_tls and not self.listen_tls.startswith(("tls:", "ssl:")):
            raise ValueError(f"listen_tls: {self.listen_tls} is not an endpoint with TLS, which begins with tls:")
        if self.redirect and not self.has_tls():
            raise ValueError("redirect: there is no endpoint with TLS, neither listen nor listen_tls")
        self.own_names()
