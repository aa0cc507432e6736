"""The settings of the front."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from splitd.access.exposure import is_local
from splitd.model.cors import EXPOSED, HEADERS, METHODS, Cors, make_cors
from splitd.model.striping import Layout, parse_layout
from storaged.http import HEAD_TIMEOUT_S, IDLE_LIMIT, OwnNames, parse_authority, parse_networks
from storaged.parts.format import SMALL_PART
from storaged.system.settings import SettingsOptions
from storaged.system.sizes import Size
from storaged.system.words import Words


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The settings of the front; each is a key of its YAML file and an option of its command line."""

    data: Annotated[str, msgspec.Meta(description="The folder where the journal is kept.", min_length=1)]
    registry: Annotated[str, msgspec.Meta(description="The YAML file that lists the nodes.", min_length=1)]
    cluster_key_file: Annotated[str, msgspec.Meta(description="The file that holds the cluster key.", min_length=1)]
    node_ca: Annotated[
        str,
        msgspec.Meta(
            description="The PEM file of the authorities that sign the certificates of nodes whose URLs are https. "
            "[default: those that the system trusts]"
        ),
    ] = ""
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
            "[default: none: nothing is limited]"
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
    trusted_proxies: Annotated[
        Words,
        msgspec.Meta(
            description="Addresses and networks of proxies whose X-Forwarded-For, X-Forwarded-Host and Forwarded "
            "count. [default: 127.0.0.0/8,::1]"
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
    layout: Annotated[
        str,
        msgspec.Meta(
            description="Into how many parts new files are cut: data parts, and parity parts that replace any of them "
            "that are lost, as 6+2. [default: 6+0]"
        ),
    ] = "6+0"
    min_parts: Annotated[
        int,
        msgspec.Meta(
            description="How many parts of a new file must be stored before the client is told so; the others are "
            "made later. Files of other layouts need the same number of spare parts. 0 for one more than data parts, "
            "if there is parity. [default: 0]",
            ge=0,
        ),
    ] = 0
    slow_part_s: Annotated[
        float,
        msgspec.Meta(
            description="An upload goes on without a part whose node takes nothing of it for so long while the others "
            "wait, if min_parts allows it. [default: 5]",
            gt=0,
        ),
    ] = 5.0
    heal_after_s: Annotated[
        float,
        msgspec.Meta(
            description="The parts of a node that cannot be used for so long are rebuilt on others. [default: 900]",
            ge=0,
        ),
    ] = 900.0
    heal_limit: Annotated[
        Size,
        msgspec.Meta(
            description="At most so many bytes of parts are rebuilt, or moved away from nodes that are draining, per "
            "second; 0 for no limit. [default: 32MiB]"
        ),
    ] = Size(32 * 1024 * 1024)
    unit: Annotated[
        Size, msgspec.Meta(description="Bytes of one column in one stripe, for new files. [default: 256KiB]")
    ] = Size(256 * 1024)
    small_part: Annotated[
        Size,
        msgspec.Meta(
            description="Parts of at most this many bytes are sent and stored many together; 0 for none. "
            "[default: 256KiB, which is the most]"
        ),
    ] = Size(SMALL_PART)
    cache: Annotated[
        Size,
        msgspec.Meta(
            description="Memory for small files that were stored or read recently, including all that the cache "
            "itself takes; 0 for none. [default: 32MiB]"
        ),
    ] = Size(32 * 1024 * 1024)
    journal_segment: Annotated[
        Size,
        msgspec.Meta(description="Size at which the journal begins a new file. [default: 64MiB]"),
    ] = Size(64 * 1024 * 1024)
    journal_copies: Annotated[
        int,
        msgspec.Meta(
            description="On how many nodes copies of the journal are kept; 0 for none: then the front's disk alone has "
            "the names. [default: 3]",
            ge=0,
            le=9,
        ),
    ] = 3
    journal_copies_required: Annotated[
        bool,
        msgspec.Meta(
            description="Whether nothing is changed while more than one of the journal's copies is missing. "
            "[default: false]"
        ),
    ] = False
    lease_s: Annotated[
        float,
        msgspec.Meta(
            description="For how long a front may change files after a majority of the nodes has confirmed it. It is "
            "used with journal_copies only. [default: 10]",
            ge=1,
        ),
    ] = 10.0
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
    connect_timeout_s: Annotated[
        float, msgspec.Meta(description="How long to wait for a connection to a node. [default: 1]", gt=0)
    ] = 1.0
    node_timeout_s: Annotated[
        float,
        msgspec.Meta(description="How long a node may take to respond. [default: 30]", gt=0),
    ] = 30.0
    silent_after_s: Annotated[
        float,
        msgspec.Meta(
            description="A part whose node sends nothing for this long is replaced by parity where there is any. "
            "[default: 1]",
            gt=0,
        ),
    ] = 1.0
    hedge_share: Annotated[
        float,
        msgspec.Meta(
            description="How many more requests a read may send to replace parts whose nodes are only slow, as a share "
            "of all; 0 for none. [default: 0.05]",
            ge=0,
            le=1,
        ),
    ] = 0.05
    sweep_interval_s: Annotated[
        float,
        msgspec.Meta(
            description="How often to look for parts on the nodes that belong to no file; 0 for never. "
            "[default: 604800, a week]",
            ge=0,
        ),
    ] = 604_800.0
    sweep_grace_s: Annotated[
        float,
        msgspec.Meta(
            description="A sweep leaves parts alone that are younger than this. [default: 86400, a day]", ge=600
        ),
    ] = 86_400.0
    sweep_share: Annotated[
        float,
        msgspec.Meta(
            description="If more than this share of a node's parts belongs to no file, a sweep touches none of them "
            "and raises an alarm. [default: 0.01]",
            ge=0,
            le=1,
        ),
    ] = 0.01
    stop_timeout_s: Annotated[
        float,
        msgspec.Meta(
            description="How long a stop waits for pending requests. [default: 20]",
            ge=0,
        ),
    ] = 20.0
    reap_interval_s: Annotated[
        float,
        msgspec.Meta(
            description="How often to retry deletions of parts that are not needed any more. [default: 60]", gt=0
        ),
    ] = 60.0

    continued_uploads_days: Annotated[
        float,
        msgspec.Meta(
            description="After how many days an upload in segments (multipart, resumable) that nobody continues is "
            "aborted, and its parts deleted; 0 for never. [default: 7]",
            ge=0,
        ),
    ] = 7.0

    def cut(self) -> Layout:
        """Return how new files are cut.

        :raise ValueError: `layout` is not a layout.
        """
        try:
            return parse_layout(self.layout, int(self.unit))
        except ValueError as problem:
            raise ValueError(f"layout: {problem}") from problem

    def spare_parts(self) -> int:
        """Return how many parts more than data parts must be stored of a new file, as far as its layout has parity.

        :raise ValueError: `min_parts` does not fit to the layout.
        """
        layout = self.cut()
        if not self.min_parts:
            return 1
        if not layout.data <= self.min_parts <= layout.width:
            raise ValueError(
                f"min_parts: {self.min_parts} is not possible with layout {layout}, {layout.data} to {layout.width} are"
            )
        return self.min_parts - layout.data

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
        self.cors()
        self.refuse_exposed()
        if self.listen_tls and not self.listen_tls.startswith(("tls:", "ssl:")):
            raise ValueError(f"listen_tls: {self.listen_tls} is not an endpoint with TLS, which begins with tls:")
        if self.redirect and not self.has_tls():
            raise ValueError("redirect: there is no endpoint with TLS, neither listen nor listen_tls")
        self.own_names()
        self.spare_parts()
        if self.small_part > SMALL_PART:
            raise ValueError(f"small_part: {self.small_part} bytes, at most {SMALL_PART} can be")


class Options(SettingsOptions[Config]):
    """The command line of `twistd splitd`."""

    kind = Config
    synopsis = "[options]"
    longdesc = "The front of a splitd cluster: takes files over HTTP and WebDAV and stores them on the nodes."
