"""The one table from exceptions to plain words, for answers, for the status, for the journal and for the log.

Twisted's exceptions cannot be shown as they are: their texts come from its documentation, or are lists of Failures.
"""

from __future__ import annotations

from OpenSSL import SSL
from service_identity import VerificationError
from twisted.internet import defer, error
from twisted.python.failure import Failure
from twisted.web import http
from twisted.web._newclient import (
    ParseError,
    RequestGenerationFailed,
    RequestNotSent,
    RequestTransmissionFailed,
    ResponseFailed,
    ResponseNeverReceived,
)

from storaged.system.os_errors import os_reason

_BROKE_IN_ANSWER = "the connection broke in the middle of the answer"

_WORDS: dict[type[BaseException], str] = {
    # A class comes before its base class.
    error.ConnectionRefusedError: "the connection was refused",
    error.TCPTimedOutError: "the other side does not answer",
    error.TimeoutError: "no connection could be made in time",
    error.DNSLookupError: "the host name is not known",
    error.UnknownHostError: "the host name is not known",
    error.NoRouteError: "there is no route to the host",
    error.InvalidAddressError: "the address is not one",
    error.ServiceNameUnknownError: "the name of the port is not known",
    error.ConnectingCancelledError: "the attempt to connect was ended",
    error.UserError: "the attempt to connect was ended",
    error.CertificateError: "its certificate is not good",
    VerificationError: "its certificate is for another name",
    error.ConnectionDone: "the connection was closed",
    error.ConnectionAborted: "the connection was cut",
    error.ConnectionFdescWentAway: "the connection broke",
    error.ConnectionLost: "the connection broke",
    error.ConnectionClosed: "the connection was closed",
    RequestNotSent: "the connection was closed before the request was sent",
    RequestGenerationFailed: "the request could not be sent to its end",
    RequestTransmissionFailed: "the connection broke while the request was sent",
    ResponseNeverReceived: "the connection was closed before the answer",
    ResponseFailed: _BROKE_IN_ANSWER,
    http.PotentialDataLoss: _BROKE_IN_ANSWER,
    http._DataLoss: _BROKE_IN_ANSWER,
    http._MalformedChunkedDataError: "the answer is not well-formed HTTP",
    ParseError: "the answer is not well-formed HTTP",
    defer.CancelledError: "it was cancelled",
    defer.TimeoutError: "no answer in time",
}

_ENDS = (error.ConnectionClosed, http.PotentialDataLoss, http._DataLoss)
"""Inside another exception, these only say that the connection has ended, which the outer one says too."""


def reason_of(problem: BaseException | None) -> str:
    """Return what an exception means in plain words, without a full stop at the end.

    Exceptions of this project keep their own messages.
    """
    if problem is None:
        return "no reason is known"
    if isinstance(problem, error.ProcessTerminated):
        return f"the process ended by signal {problem.signal}" if problem.signal else _exit(problem)
    cause = _cause(problem)
    if cause is not None:
        return reason_of(cause)
    if isinstance(problem, error.ConnectionAborted) and problem.args:
        return str(problem.args[0])  # this process has cut it, and said why
    words = next((text for kind, text in _WORDS.items() if isinstance(problem, kind)), "")
    return words or _other(problem)


def why_client_left(problem: BaseException | None) -> str:
    """Return what the end of a client's connection means, as `reason_of` does."""
    if isinstance(problem, error.ConnectionDone):
        return "the client closed the connection"
    if isinstance(problem, error.ConnectionLost) and not isinstance(problem, error.ConnectionAborted):
        return "the connection to the client broke"
    return reason_of(problem)


def why_unanswered(problem: BaseException | None) -> str:
    """Return what the end of a connection means for a request that waits for its answer, as `reason_of` does."""
    return reason_of(ResponseNeverReceived([Failure(problem)]))


def _cause(problem: BaseException) -> BaseException | None:
    """Return the exception inside another one, if it says more than the outer one."""
    if isinstance(problem, error.ConnectError) and type(problem) in {error.ConnectError, error.ConnectBindError}:
        number = problem.osError
        return OSError(number, str(problem.args[0])) if isinstance(number, int) else None
    if isinstance(problem, error.CannotListenError):
        return problem.socketError if isinstance(problem.socketError, Exception) else None
    inner = [failure.value for failure in getattr(problem, "reasons", None) or []]
    return next((each for each in inner if not isinstance(each, _ENDS)), None)


def _exit(problem: error.ProcessTerminated) -> str:
    return f"the process ended with exit code {problem.exitCode}"


def _other(problem: BaseException) -> str:
    kind = type(problem)
    if isinstance(problem, OSError):
        return f"{problem.filename}: {os_reason(problem)}" if problem.filename else os_reason(problem)
    if isinstance(problem, SSL.Error):
        return f"TLS: {_tls(problem)}"
    # Twisted's exceptions put their class's documentation before their arguments.
    ours = kind.__module__.partition(".")[0] != "twisted"
    text = str(problem) if ours else ", ".join(each for each in problem.args if isinstance(each, str))
    text = text.strip().rstrip(".")
    # The text of one of Python's own exceptions says little without its class: KeyError: 'x'.
    return text if text and kind.__module__ != "builtins" else ": ".join(filter(None, [kind.__name__, text]))


def _tls(problem: SSL.Error) -> str:
    errors = problem.args[0] if problem.args and isinstance(problem.args[0], list) else []
    return "; ".join(str(each[-1]) for each in errors) or "the connection was closed"
