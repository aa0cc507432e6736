"""Signs requests of S3 (Signature Version 4), in the header, without a digest of the body."""

from __future__ import annotations

import hashlib
import hmac
import time
from urllib.parse import quote

import attrs

_UNSIGNED = "UNSIGNED-PAYLOAD"


@attrs.frozen
class S3Key:
    """A key of S3."""

    access_key: str
    secret: str = attrs.field(repr=False)
    region: str = "us-east-1"

    def headers(self, method: str, host: str, path: str, query: dict[str, str]) -> dict[str, str]:
        """Return the headers of a signed request.

        :param path: percent-encoded.
        :param query: not encoded.
        """
        now = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        scope = f"{now[:8]}/{self.region}/s3/aws4_request"
        sent = {"host": host, "x-amz-content-sha256": _UNSIGNED, "x-amz-date": now}
        lines = [method, path, encode_query(query), *(f"{name}:{value}" for name, value in sent.items()), ""]
        canonical = "\n".join([*lines, ";".join(sent), _UNSIGNED])
        signed = "\n".join(["AWS4-HMAC-SHA256", now, scope, hashlib.sha256(canonical.encode()).hexdigest()])
        key = f"AWS4{self.secret}".encode()
        for part in scope.split("/"):
            key = hmac.digest(key, part.encode(), "sha256")
        signature = hmac.new(key, signed.encode(), "sha256").hexdigest()
        login = f"AWS4-HMAC-SHA256 Credential={self.access_key}/{scope}, SignedHeaders={';'.join(sent)}"
        return {name: value for name, value in sent.items() if name != "host"} | {
            "Authorization": f"{login}, Signature={signature}"
        }


def encode_query(query: dict[str, str]) -> str:
    """Return a query as it is signed and sent."""
    return "&".join(f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in sorted(query.items()))
