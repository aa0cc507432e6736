"""Every exception that can end a transfer becomes plain words."""

from __future__ import annotations

import errno
import os
import re
import socket

import pytest
from OpenSSL import SSL
from service_identity import VerificationError
from twisted.internet import defer, error
from twisted.python.failure import Failure
from twisted.web import _newclient, client, http

from splitd.errors import UploadFailed
from storaged.http import BodyBroken, reason_of, why_client_left
from storaged.parts.errors import NodeUnavailable

NOT_PLAIN = re.compile(r"non-clean|failure|twisted|traceback|\[Errno|<|\.\Z|\A\Z", re.IGNORECASE)


def lost(*problems: BaseException) -> list[Failure]:
    return [Failure(problem) for problem in problems]


SPECIAL = {
    error.CannotListenError: error.CannotListenError("::1", 80, OSError(errno.EADDRINUSE, "Address already in use")),
    error.ProcessTerminated: error.ProcessTerminated(signal=9),
    error.MessageLengthError: error.MessageLengthError("too long"),
    error.PeerVerifyError: error.PeerVerifyError(),
    **{
        kind: kind(lost(error.ConnectionLost()))
        for kind in (
            client.ResponseNeverReceived,
            client.ResponseFailed,
            client.RequestTransmissionFailed,
            client.RequestGenerationFailed,
            _newclient._WrapperException,
        )
    },
    _newclient.ParseError: _newclient.ParseError("bad status line", b"x"),
    _newclient.BadResponseVersion: _newclient.BadResponseVersion("bad version", b"x"),
    client.PartialDownloadError: client.PartialDownloadError(500),
    error.ConnectingCancelledError: error.ConnectingCancelledError(None),
    error.InvalidAddressError: error.InvalidAddressError("x", "not an address"),
    error.ProcessDone: error.ProcessDone(0),
    http.InvalidHeaderName: http.InvalidHeaderName("x"),
}


def kinds() -> list[type[Exception]]:
    """The exception classes of the modules that connections come from."""
    found = {
        each
        for module in (error, _newclient, client, http)
        for each in vars(module).values()
        if isinstance(each, type) and issubclass(each, Exception) and each.__module__.startswith("twisted.")
    }
    return sorted({*found, defer.CancelledError, defer.TimeoutError}, key=lambda each: each.__name__)


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.__name__)
def test_every_exception_of_twisted_is_told_in_plain_words(kind: type[Exception]) -> None:
    problem = SPECIAL[kind] if kind in SPECIAL else kind()
    for text in (reason_of(problem), why_client_left(problem)):
        assert not NOT_PLAIN.search(text), text


WORDS = [
    (error.ConnectionRefusedError(111, "Connection refused"), "the connection was refused"),
    (error.TimeoutError(), "no connection could be made in time"),
    (error.TCPTimedOutError(), "the other side does not answer"),
    (error.DNSLookupError("no results for hostname lookup: n3"), "the host name is not known"),
    (error.ConnectError(113, "No route to host"), "there is no route to the host"),
    (error.ConnectError(errno.EMFILE, os.strerror(errno.EMFILE)), "Too many open files (EMFILE)"),
    (error.ConnectError(string="odd"), "odd"),
    (error.ConnectBindError(errno.EADDRNOTAVAIL, "no"), "no (EADDRNOTAVAIL)"),
    (error.ConnectionDone(), "the connection was closed"),
    (error.ConnectionLost(), "the connection broke"),
    (error.ConnectionAborted("the body of the request broke off"), "the body of the request broke off"),
    (error.CannotListenError("", 80, OSError(errno.EACCES, "Permission denied")), "Permission denied (EACCES)"),
    (error.ProcessTerminated(signal=9), "the process ended by signal 9"),
    (error.ProcessTerminated(exitCode=1), "the process ended with exit code 1"),
    (client.ResponseNeverReceived(lost(error.ConnectionLost())), "the connection was closed before the answer"),
    (client.ResponseNeverReceived(lost(error.TimeoutError())), "no connection could be made in time"),
    (client.ResponseNeverReceived(lost(VerificationError([]))), "its certificate is for another name"),
    (
        client.ResponseFailed(lost(error.ConnectionDone(), http._DataLoss())),
        "the connection broke in the middle of the answer",
    ),
    (
        client.ResponseFailed(lost(_newclient.ParseError("wrong number of parts", b"220 mail"))),
        "the answer is not well-formed HTTP",
    ),
    (
        client.RequestTransmissionFailed(lost(error.ConnectionLost())),
        "the connection broke while the request was sent",
    ),
    (SSL.Error([("SSL routines", "", "certificate verify failed")]), "TLS: certificate verify failed"),
    (SSL.Error(), "TLS: the connection was closed"),
    (defer.CancelledError(), "it was cancelled"),
    (defer.TimeoutError("Deferred"), "no answer in time"),
    (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), "No space left on device (ENOSPC)"),
    (OSError(errno.EIO, os.strerror(errno.EIO), "/data/p"), "/data/p: Input/output error (EIO)"),
    (OSError(errno.EPIPE, os.strerror(errno.EPIPE)), "the other side closed the connection"),
    (OSError("another one"), "another one"),
    (OSError(99999, "beyond"), "beyond"),
    (TimeoutError(), "TimeoutError"),
    (socket.gaierror(-2, "Name or service not known"), "the host name is not known"),
    (KeyError("x"), "KeyError: 'x'"),
    (RuntimeError(), "RuntimeError"),
    (BodyBroken("the client closed the connection"), "the client closed the connection"),
    (UploadFailed("too slow"), "too slow"),
    (NodeUnavailable("no answer in 5 s").on("n3"), "node n3: no answer in 5 s"),
    (None, "no reason is known"),
]


@pytest.mark.parametrize(("problem", "expected"), WORDS, ids=[str(number) for number in range(len(WORDS))])
def test_what_an_exception_means_is_said(problem: BaseException | None, expected: str) -> None:
    assert reason_of(problem) == expected


@pytest.mark.parametrize(
    ("problem", "expected"),
    [
        (error.ConnectionDone(), "the client closed the connection"),
        (error.ConnectionLost(), "the connection to the client broke"),
        (error.ConnectionAborted("the body of the request broke off"), "the body of the request broke off"),
        (error.ConnectionAborted(), "the connection was cut"),
    ],
)
def test_how_a_client_left_is_said(problem: BaseException, expected: str) -> None:
    assert why_client_left(problem) == expected


def test_an_error_names_its_node_once() -> None:
    problem = NodeUnavailable("part p: broke off")
    assert str(problem) == problem.reason == "part p: broke off"
    assert problem.on("n3").on("n4").on("n3") is problem
    assert (str(problem), problem.reason) == ("node n3: part p: broke off", "part p: broke off")
