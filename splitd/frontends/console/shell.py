"""The HTML around the console: what a browser gets for every address of ours that people open.  Pure.

The page is made in the browser.  What it shows first is in the HTML already, as data, so that it needs no second
request for that.
"""

from __future__ import annotations

from typing import Any

import msgspec


def format_shell(start: dict[str, Any], assets: str, module: str, nonce: str) -> bytes:
    """Return the HTML.

    :param start: what the page shows first.
    :param assets: the URL of the folder of the assets, without a slash at its end.
    :param module: the module that the page begins with.
    :param nonce: allows the scripts and styles here, and nothing else.
    """
    data = msgspec.json.encode(start).decode().replace("<", "\\u003c")
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>splitd</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1, viewport-fit=cover">\n'
        '<meta name="color-scheme" content="light dark">\n<meta name="referrer" content="same-origin">\n'
        '<noscript><meta http-equiv="refresh" content="0; url=?plain"></noscript>\n'
        f'<link rel="icon" type="image/svg+xml" href="{assets}/icon.svg">\n'
        f'<link rel="stylesheet" nonce="{nonce}" href="{assets}/style.css">\n'
        f'<script type="module" nonce="{nonce}" src="{assets}/{module}"></script>\n'
        f'<script type="application/json" id="start">{data}</script>\n</head>\n<body>\n'
        '<noscript><p>This page needs scripts. <a href="?plain">The same as a plain list</a></p></noscript>\n'
        '<div id="app"></div>\n</body>\n</html>\n'
    ).encode()


def format_policy(nonce: str) -> str:
    """Return the Content-Security-Policy of the page.

    Only what has the nonce runs, and what that imports.  A name or a file that slipped through everything else would
    still run nothing.
    """
    return "; ".join(
        [
            "default-src 'none'",
            f"script-src 'nonce-{nonce}' 'strict-dynamic'",
            f"style-src 'nonce-{nonce}'",
            "connect-src 'self'",
            "img-src 'self' data: blob:",
            "media-src 'self' blob:",
            "frame-src 'self' blob:",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        ]
    )
