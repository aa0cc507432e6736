"""`kill -9` in the middle of a multipart upload of S3."""

from __future__ import annotations

import json
import os
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config

from tests.live.conftest import Starter
from tests.live.local_cluster import FRONT, LocalCluster

MIB = 2**20
PARTS = [os.urandom(5 * MIB), os.urandom(12 * MIB + 1), os.urandom(2 * MIB)]
WIDTH = 6
"""The parts in which each part of the multipart upload is stored."""


def client(cluster: LocalCluster) -> Any:
    """A client of S3, with a bucket."""
    told = json.loads(cluster.ready_file.read_text())
    key = told["s3_key"]
    made = boto3.client(
        "s3",
        endpoint_url=told["front"]["s3"],
        aws_access_key_id=key["access_key"],
        aws_secret_access_key=key["secret_key"],
        region_name="us-east-1",
        config=Config(signature_version="s3v4", retries={"max_attempts": 1}, s3={"addressing_style": "path"}),
    )
    made.create_bucket(Bucket="bucket")
    return made


def begin(s3: Any) -> dict[str, str]:
    upload = s3.create_multipart_upload(Bucket="bucket", Key="key")["UploadId"]
    return {"Bucket": "bucket", "Key": "key", "UploadId": upload}


def put_part(s3: Any, upload: dict[str, str], number: int) -> dict[str, Any]:
    answer = s3.upload_part(**upload, PartNumber=number, Body=PARTS[number - 1])
    return {"PartNumber": number, "ETag": answer["ETag"]}


def listed(s3: Any, upload: dict[str, str]) -> list[dict[str, Any]]:
    found = s3.list_parts(**upload).get("Parts", [])
    return [{"PartNumber": part["PartNumber"], "ETag": part["ETag"]} for part in found]


def test_parts_that_were_answered_for_are_there_after_everything_was_killed(own_cluster: Starter) -> None:
    cluster = own_cluster()
    s3 = client(cluster)
    upload = begin(s3)
    parts = [put_part(s3, upload, number) for number in (1, 2)]
    cluster.wait_recovered(cluster.kill(*cluster.pids()))
    assert listed(s3, upload) == parts
    parts.append(put_part(s3, upload, 3))
    done = s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    cluster.wait_recovered(cluster.kill(*cluster.pids()))
    found = s3.get_object(Bucket="bucket", Key="key")
    assert (found["Body"].read(), found["ETag"]) == (b"".join(PARTS), done["ETag"])
    again = s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    assert again["ETag"] == done["ETag"]
    cluster.disks.wait_for_parts(3 * WIDTH)


def test_a_part_half_sent_when_the_front_is_killed_leaves_nothing(own_cluster: Starter) -> None:
    cluster = own_cluster()
    s3 = client(cluster)
    upload = begin(s3)
    first = put_part(s3, upload, 1)
    url = urlsplit(s3.generate_presigned_url("upload_part", Params={**upload, "PartNumber": 2}))
    sending = HTTPConnection(url.netloc)
    sending.putrequest("PUT", f"{url.path}?{url.query}")
    sending.putheader("Content-Length", str(len(PARTS[1])))
    sending.endheaders()
    sending.send(PARTS[1][: 9 * MIB])  # more than a storage server gathers before it writes
    cluster.disks.wait_in_the_middle()
    killed = cluster.kill(FRONT)
    sending.close()
    cluster.wait_recovered(killed)
    assert listed(s3, upload) == [first]
    cluster.disks.wait_for_parts(WIDTH)
    s3.abort_multipart_upload(**upload)
    cluster.disks.wait_for_parts(0)
