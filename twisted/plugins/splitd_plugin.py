"""Makes `twistd splitd` known."""

from twisted.application.service import ServiceMaker

splitd = ServiceMaker(
    "splitd", "splitd.service", "The front of a splitd cluster: HTTP and WebDAV for clients.", "splitd"
)
