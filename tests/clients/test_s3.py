"""Programs and libraries made for Amazon S3, which know nothing of splitd: each stores, lists, reads and deletes."""

from __future__ import annotations

import hashlib
import os
import shutil
from io import BytesIO
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from boto3.s3.transfer import TransferConfig
from minio import Minio

from tests.clients.programs import succeed
from tests.clients.s3 import Store
from tests.clients.trees import make_tree, read_tree

MIB = 1024 * 1024
LARGE = os.urandom(20 * MIB + 1)


@pytest.fixture
def large(tmp_path: Path) -> Path:
    (tmp_path / "large").write_bytes(LARGE)
    return tmp_path / "large"


def test_boto3_stores_and_lists(store: Store, bucket: str, large: Path) -> None:
    client = store.client()
    keys = ["a b+c%", "ä/ö", "x/../y", "z//"]
    for key in keys:
        client.put_object(Bucket=bucket, Key=key, Body=key.encode(), Metadata={"key": "value"})
    for key in keys:
        got = client.get_object(Bucket=bucket, Key=key)
        assert (got["Body"].read(), got["Metadata"]) == (key.encode(), {"key": "value"})
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, PaginationConfig={"PageSize": 1})
    assert [each["Key"] for page in pages for each in page.get("Contents", ())] == sorted(keys, key=str.encode)
    client.upload_file(str(large), bucket, "large", Config=TransferConfig(multipart_chunksize=5 * MIB))
    client.download_file(bucket, "large", str(large.with_name("back")))
    assert large.with_name("back").read_bytes() == LARGE
    assert client.head_object(Bucket=bucket, Key="large")["ETag"].endswith('-5"')
    client.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key} for key in [*keys, "large"]]})
    client.delete_bucket(Bucket=bucket)


@pytest.mark.parametrize(
    "algorithm",
    ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256", "SHA512", "XXHASH64", "XXHASH3", "XXHASH128"],
)
def test_boto3_checks_checksums(store: Store, algorithm: str) -> None:
    client = store.client()
    client.create_bucket(Bucket="checksums")
    stored = client.put_object(Bucket="checksums", Key=algorithm, Body=LARGE, ChecksumAlgorithm=algorithm)
    got = client.get_object(Bucket="checksums", Key=algorithm, ChecksumMode="ENABLED")
    assert got["Body"].read() == LARGE  # boto3 compares the checksum while it reads
    assert got[f"Checksum{algorithm}"] == stored[f"Checksum{algorithm}"]


@pytest.mark.parametrize("version", [None, "s3v4"], ids=["as boto3 does by itself", "version 4"])
def test_boto3_signs_urls(store: Store, version: str | None) -> None:
    client = store.client(signature_version=version)
    client.create_bucket(Bucket="urls")
    put = client.generate_presigned_url("put_object", Params={"Bucket": "urls", "Key": "a b"})
    with urlopen(Request(put, b"content", {"Content-Type": ""}, method="PUT")) as answer:
        assert answer.status == 200
    with urlopen(client.generate_presigned_url("get_object", Params={"Bucket": "urls", "Key": "a b"})) as answer:
        assert answer.read() == b"content"


def test_aws_syncs_a_tree(store: Store, bucket: str, large: Path) -> None:
    folder = large.parent
    environment = store.environment(folder)

    def aws(*arguments: str | Path) -> str:
        return succeed("aws", "s3", *arguments, folder=folder, environment=environment)

    make_tree(folder / "source")
    aws("sync", folder / "source", f"s3://{bucket}/tree")
    assert aws("sync", folder / "source", f"s3://{bucket}/tree") == "", "nothing is to be done again"
    aws("sync", f"s3://{bucket}/tree", folder / "back")
    files = {name: data for name, data in read_tree(folder / "source").items() if data is not None}
    assert {name: data for name, data in read_tree(folder / "back").items() if data is not None} == files
    aws("cp", large, f"s3://{bucket}/large")
    aws("mv", f"s3://{bucket}/large", f"s3://{bucket}/moved")
    aws("cp", f"s3://{bucket}/moved", folder / "moved")
    assert (folder / "moved").read_bytes() == LARGE
    aws("rb", "--force", f"s3://{bucket}")


def test_s5cmd_copies(store: Store, bucket: str, large: Path) -> None:
    folder = large.parent
    environment = store.environment(folder)

    def s5cmd(*arguments: str | Path) -> str:
        return succeed("s5cmd", "--retry-count", "0", *arguments, folder=folder, environment=environment)

    s5cmd("cp", "--part-size", "5", large, f"s3://{bucket}/x/large")
    assert "x/large" in s5cmd("ls", f"s3://{bucket}/*")
    s5cmd("cp", f"s3://{bucket}/x/large", folder / "back")
    assert (folder / "back").read_bytes() == LARGE
    s5cmd("cp", f"s3://{bucket}/x/large", f"s3://{bucket}/y")
    s5cmd("rm", f"s3://{bucket}/*")
    s5cmd("rb", f"s3://{bucket}")


def test_rclone_copies_a_tree_there_and_back(store: Store, bucket: str, large: Path) -> None:
    folder = large.parent
    environment = {
        "RCLONE_CONFIG": "/dev/null",
        "RCLONE_CONFIG_TO_TYPE": "s3",
        "RCLONE_CONFIG_TO_PROVIDER": "Other",
        "RCLONE_CONFIG_TO_ENDPOINT": store.url,
        "RCLONE_CONFIG_TO_REGION": "us-east-1",
        "RCLONE_CONFIG_TO_ACCESS_KEY_ID": store.access_key,
        "RCLONE_CONFIG_TO_SECRET_ACCESS_KEY": store.secret_key,
        "RCLONE_S3_UPLOAD_CUTOFF": "10M",
        "RCLONE_S3_CHUNK_SIZE": "5M",
        "RCLONE_RETRIES": "1",
        "RCLONE_LOW_LEVEL_RETRIES": "1",
    }

    def rclone(*arguments: str | Path) -> str:
        return succeed("rclone", *arguments, folder=folder, environment=environment)

    make_tree(folder / "source")
    shutil.copy(large, folder / "source" / "large")
    rclone("copy", folder / "source", f"to:{bucket}/tree")
    rclone("check", "--download", folder / "source", f"to:{bucket}/tree")
    assert "0 B" in rclone("copy", "--stats-one-line", "-v", folder / "source", f"to:{bucket}/tree")
    rclone("move", f"to:{bucket}/tree", f"to:{bucket}/moved")
    rclone("check", "--download", folder / "source", f"to:{bucket}/moved")
    rclone("purge", f"to:{bucket}")


def test_s3cmd_puts_and_gets(store: Store, bucket: str, large: Path) -> None:
    folder, host = large.parent, store.url.removeprefix("http://")

    def s3cmd(*arguments: str | Path) -> str:
        options = [f"--host={host}", f"--host-bucket={host}", "--no-ssl", "--region=us-east-1", "--no-progress"]
        keys = [f"--access_key={store.access_key}", f"--secret_key={store.secret_key}", f"--config={folder}/none"]
        return succeed("s3cmd", *options, *keys, *arguments, folder=folder)

    (folder / "none").touch()
    s3cmd("put", "--multipart-chunk-size-mb=5", large, f"s3://{bucket}/dir/large")
    assert f"s3://{bucket}/dir/large" in s3cmd("ls", "--recursive", f"s3://{bucket}")
    s3cmd("get", f"s3://{bucket}/dir/large", folder / "back")
    assert (folder / "back").read_bytes() == LARGE
    s3cmd("cp", f"s3://{bucket}/dir/large", f"s3://{bucket}/other")
    s3cmd("del", "--recursive", "--force", f"s3://{bucket}")
    s3cmd("rb", f"s3://{bucket}")


def test_minio_puts_and_lists(store: Store, bucket: str) -> None:
    client = Minio(
        store.url.removeprefix("http://"),
        access_key=store.access_key,
        secret_key=store.secret_key,
        secure=False,
        region="us-east-1",
    )
    client.put_object(bucket, "x/small", BytesIO(b"small"), 5, metadata={"a": "b"})
    client.put_object(bucket, "x/large", BytesIO(LARGE), -1, part_size=5 * MIB)
    assert [each.object_name for each in client.list_objects(bucket, recursive=True)] == ["x/large", "x/small"]
    assert [each.object_name for each in client.list_objects(bucket)] == ["x/"]
    answer = client.get_object(bucket, "x/large")
    try:
        assert hashlib.sha256(answer.read()).digest() == hashlib.sha256(LARGE).digest()
    finally:
        answer.close()
        answer.release_conn()
    for key in ("x/small", "x/large"):
        client.remove_object(bucket, key)
    client.remove_bucket(bucket)
