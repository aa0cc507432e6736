"""The cookies of a browser that logs in.

With TLS, their names begin with `__Host-`: no other host can plant such a cookie, not even one that shares the domain
(RFC 6265bis section 4.1.3.2).  Below a base path they have no such names, because other services of the host would get
them, too, or replace them.
"""

from __future__ import annotations

from storaged.http import IRequest

_HOST = "__Host-"


def format_cookie(request: IRequest, name: str, value: str, age_s: float, *, base: str, below: str = "") -> str:
    """Return the value of a `Set-Cookie` header.

    :param name: without a prefix.
    :param age_s: how long the browser keeps the cookie; 0 to forget it.
    :param base: what all URLs begin with.
    :param below: what the URLs that need the cookie have behind the base.
    """
    # A proxy may have ended TLS, and not say so: then the browser says by which scheme its page came.
    is_secure = request.origin.is_secure or (request.getHeader("Origin") or "").startswith("https:")
    if is_secure and not base:
        name, below = _HOST + name, ""
    secure = "; Secure" if is_secure else ""
    path = base + below or "/"
    return f"{name}={value}; Path={path}; Max-Age={int(age_s)}; HttpOnly; SameSite=Lax{secure}"


def read_cookies(request: IRequest, name: str, *, base: str) -> list[str]:
    """Return the values of a cookie that `format_cookie` has made; usually there is one at most."""
    # Only blanks and tabs, as browsers do: to them, what begins with another space does not begin with the prefix.
    texts = [each.strip(" \t") for header in request.header_values("Cookie") for each in header.split(";")]
    pairs = [each.partition("=") for each in texts]
    own = [value for key, _, value in pairs if key == _HOST + name and value]
    if not base and (own or request.origin.is_secure):
        return own
    return [value for key, _, value in pairs if key == name and value]
