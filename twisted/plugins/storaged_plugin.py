"""Makes `twistd storaged` known."""

from twisted.application.service import ServiceMaker

storaged = ServiceMaker("storaged", "storaged.service", "A storage server of splitd: keeps parts of files.", "storaged")
