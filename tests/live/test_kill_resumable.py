"""`kill -9` in the middle of a request of a resumable upload."""

from __future__ import annotations

import os
from base64 import b64encode
from hashlib import sha256
from http.client import HTTPConnection
from urllib.parse import urlsplit

from tests.live.conftest import Starter
from tests.live.local_cluster import FRONT, LocalCluster
from tests.live.processes import wait_until

MIB = 2**20
SEGMENT = 64 * MIB
"""After so many bytes of a request, what came is durable."""

DATA = os.urandom(MIB) * 100
SIZE = len(DATA)


def request(cluster: LocalCluster, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, str]:
    """Send a request of tus; return the status, and the location or the offset."""
    connection = HTTPConnection(urlsplit(cluster.url).netloc)
    named = {name.replace("_", "-"): value for name, value in {"Tus_Resumable": "1.0.0", **headers}.items()}
    connection.request(method, path, body, named)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status, answer.headers["Location"] or answer.headers["Upload-Offset"] or ""


def test_what_was_durable_when_the_front_was_killed_is_told_and_the_rest_is_sent_again(own_cluster: Starter) -> None:
    cluster = own_cluster()
    name = b64encode(b"large").decode()
    root = "/.splitd/uploads/"
    code, location = request(cluster, "POST", root, Upload_Length=str(SIZE), Upload_Metadata=f"filename {name}")
    assert code == 201
    url = urlsplit(location).path
    offset = 0
    for piece in (70 * MIB, 30 * MIB):
        sending = HTTPConnection(urlsplit(cluster.url).netloc)
        sending.putrequest("PATCH", url)
        for header, value in (
            ("Upload-Offset", str(offset)),
            ("Tus-Resumable", "1.0.0"),
            ("Content-Type", "application/offset+octet-stream"),
            ("Content-Length", str(SIZE - offset)),
        ):
            sending.putheader(header, value)
        sending.endheaders()
        sending.send(DATA[offset : offset + piece])
        wait_until(lambda: cluster.status()["uploads"]["continued_bytes"] >= SEGMENT, "a durable segment")
        killed = cluster.kill(FRONT)
        sending.close()
        cluster.wait_recovered(killed)
        code, told = request(cluster, "HEAD", url)
        assert code == 200
        # What came after the first segment was in no other one, so it is not told, the second time as the first.
        assert SEGMENT <= int(told) < SEGMENT + MIB
        assert offset in {0, int(told)}
        offset = int(told)
    body = {"Content_Type": "application/offset+octet-stream", "Upload_Offset": str(offset)}
    assert request(cluster, "PATCH", url, DATA[offset:], **body)[0] == 204
    cluster.wait_recovered(cluster.kill(*cluster.pids()))
    connection = HTTPConnection(urlsplit(cluster.url).netloc)
    connection.request("GET", "/large")
    found = sha256()
    answer = connection.getresponse()
    while piece := answer.read(MIB):
        found.update(piece)
    connection.close()
    assert found.hexdigest() == sha256(DATA).hexdigest()
    cluster.disks.wait_for_parts(2 * 6)
