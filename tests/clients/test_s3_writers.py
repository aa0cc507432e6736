"""Many writers of one key, or one table, at once: conditional writes have one winner each time."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

from botocore.exceptions import ClientError

from tests.clients.programs import succeed
from tests.clients.s3 import OTHERS, Store

WRITERS = 50
ROUNDS = 5

APPENDERS, APPENDS = 4, 4
"""A writer loses at most against each append of the others, which is less often than deltalake tries again (15)."""

_OPTIONS = """
import sys
import polars as pl
from deltalake import DeltaTable, write_deltalake
url, address = sys.argv[1:3]
options = {"aws_endpoint_url": address, "aws_allow_http": "true", "aws_conditional_put": "etag"}
"""
_APPEND = """
for number in map(int, sys.argv[3:]):
    write_deltalake(url, pl.DataFrame({"n": [number]}), mode="append", storage_options=options)
"""
_READ = """
table = DeltaTable(url, storage_options=options)
print(table.version(), pl.read_delta(table)["n"].sort().to_list())
"""


def winners(change: Callable[[int], Any]) -> list[int]:
    """Make a change by each writer at once; return those who succeeded.  The others must have been told 412."""
    ready = Barrier(WRITERS)

    def race(number: int) -> bool:
        ready.wait()
        try:
            change(number)
        except ClientError as problem:
            if problem.response["ResponseMetadata"]["HTTPStatusCode"] == 412:
                return False
            raise
        return True

    with ThreadPoolExecutor(WRITERS) as threads:
        won = list(threads.map(race, range(WRITERS)))
    return [number for number in range(WRITERS) if won[number]]


def test_a_lock_has_one_winner_each_time(store: Store, bucket: str) -> None:
    client = store.client(max_pool_connections=WRITERS)
    lock = {"Bucket": bucket, "Key": "locks/leader"}

    def held() -> tuple[int, str]:
        found = client.get_object(**lock)
        return int(found["Body"].read()), found["ETag"]

    def other(number: int) -> bytes:
        return str(WRITERS + number).encode()  # with another ETag than that of the holder

    for _ in range(ROUNDS):
        taken = winners(lambda number: client.put_object(**lock, Body=str(number).encode(), IfNoneMatch="*"))
        holder, etag = held()
        assert taken == [holder]
        taken = winners(lambda number, tag=etag: client.put_object(**lock, Body=other(number), IfMatch=tag))
        assert not winners(lambda _, tag=etag: client.delete_object(**lock, IfMatch=tag)), "it is not theirs any more"
        holder, etag = held()
        assert [WRITERS + number for number in taken] == [holder]
        client.delete_object(**lock, IfMatch=etag)
        assert "Contents" not in client.list_objects_v2(Bucket=bucket)


def test_one_of_many_multipart_uploads_is_completed(store: Store, bucket: str) -> None:
    client = store.client(max_pool_connections=WRITERS)
    key = {"Bucket": bucket, "Key": "large"}
    uploads = []
    for number in range(WRITERS):
        upload = client.create_multipart_upload(**key)["UploadId"]
        part = client.upload_part(**key, UploadId=upload, PartNumber=1, Body=str(number).encode())
        uploads.append((upload, {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}))

    def complete(number: int) -> None:
        upload, parts = uploads[number]
        client.complete_multipart_upload(**key, UploadId=upload, MultipartUpload=parts, IfNoneMatch="*")

    [winner] = winners(complete)
    assert client.get_object(**key)["Body"].read() == str(winner).encode()
    left = {each["UploadId"] for each in client.list_multipart_uploads(Bucket=bucket)["Uploads"]}
    assert left == {upload for upload, _ in uploads} - {uploads[winner][0]}
    for upload in left:
        client.abort_multipart_upload(**key, UploadId=upload)


def test_all_appends_of_racing_writers_are_in_a_delta_table(store: Store, bucket: str, tmp_path: Path) -> None:
    environment = store.environment(tmp_path)

    def command(script: str, *numbers: int) -> list[str]:
        return ["-c", _OPTIONS + script, f"s3://{bucket}/table", store.url, *map(str, numbers)]

    succeed(OTHERS, *command(_APPEND, 0), folder=tmp_path, environment=environment)
    shares = [range(1 + each * APPENDS, 1 + (each + 1) * APPENDS) for each in range(APPENDERS)]
    writers = [
        subprocess.Popen([OTHERS, *command(_APPEND, *share)], env=environment, stderr=subprocess.PIPE)
        for share in shares
    ]
    for writer in writers:
        _, problem = writer.communicate()
        assert writer.returncode == 0, problem.decode()
    count = APPENDERS * APPENDS
    said = succeed(OTHERS, *command(_READ), folder=tmp_path, environment=environment)
    assert said.strip() == f"{count} {list(range(count + 1))}"
