"""Answers about several resources at once: status 207 (RFC 4918 section 13)."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus

from splitd.errors import Protected
from splitd.frontends.http.answers import answer
from splitd.frontends.http.targets import href
from splitd.frontends.webdav.answers import XML_PROLOG, XML_TYPE, error_element, failed_condition
from storaged.http import IRequest

BEGIN = f'{XML_PROLOG}<D:multistatus xmlns:D="DAV:">\n'
END = "</D:multistatus>\n"


def status_element(status: int) -> str:
    """Return the element that holds a status."""
    return f"<D:status>HTTP/1.1 {status} {HTTPStatus(status).phrase}</D:status>"


def propstat(properties: Iterable[str], status: int, condition: str = "") -> str:
    """Return the element that gives some properties and their status; empty if there are no properties.

    :param properties: the elements of the properties.
    :param condition: the failed condition, an XML element.
    """
    inner = "".join(properties)
    error = error_element(condition) if condition else ""
    return f"<D:propstat><D:prop>{inner}</D:prop>{status_element(status)}{error}</D:propstat>" if inner else ""


def response(url: str, inner: str) -> str:
    """Return the element that holds the results for one resource."""
    return f"<D:response><D:href>{url}</D:href>{inner}</D:response>\n"


def protected_response(path: str, problem: Protected, base: str) -> str:
    """Return the element of a resource that could not be changed because it is locked."""
    error = error_element(failed_condition(problem, base))
    return response(href(path, base, is_collection=False), status_element(423) + error)


def answer_multistatus(request: IRequest, responses: str) -> None:
    """Answer with responses that are in memory."""
    answer(request, 207, f"{BEGIN}{responses}{END}".encode(), XML_TYPE)
