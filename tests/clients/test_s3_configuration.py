"""What boto3 keeps with buckets and objects, and forms that it signs: its models read every answer."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from botocore.exceptions import ClientError

from tests.clients.s3 import Store
from tests.s3 import BOUNDARY, form_of

EVERYBODY = "http://acs.amazonaws.com/groups/global/AllUsers"


def code(call: Any, **arguments: Any) -> str:
    """Return the code by which a call is refused."""
    with pytest.raises(ClientError) as refused:
        call(**arguments)
    return str(refused.value.response["Error"]["Code"])


def test_boto3_keeps_cors_rules_tags_and_lifecycle_rules(store: Store, bucket: str) -> None:
    client = store.client()
    cors = [
        {
            "ID": "pages",
            "AllowedOrigins": ["https://*.example.org"],
            "AllowedMethods": ["GET", "PUT"],
            "AllowedHeaders": ["*"],
            "ExposeHeaders": ["ETag"],
            "MaxAgeSeconds": 60,
        }
    ]
    assert code(client.get_bucket_cors, Bucket=bucket) == "NoSuchCORSConfiguration"
    client.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": cors})
    assert client.get_bucket_cors(Bucket=bucket)["CORSRules"] == cors
    client.delete_bucket_cors(Bucket=bucket)
    tags = [{"Key": "a b", "Value": "<ä>"}]
    client.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": tags})
    assert client.get_bucket_tagging(Bucket=bucket)["TagSet"] == tags
    client.delete_bucket_tagging(Bucket=bucket)
    assert code(client.get_bucket_tagging, Bucket=bucket) == "NoSuchTagSet"
    rules = [
        {"ID": "old", "Status": "Enabled", "Filter": {"Prefix": "log/"}, "Expiration": {"Days": 30}},
        {
            "ID": "some",
            "Status": "Disabled",
            "Filter": {"And": {"Prefix": "x/", "Tags": tags, "ObjectSizeLessThan": 5}},
            "Expiration": {"Date": datetime(2040, 1, 1, tzinfo=UTC)},
        },
        {
            "ID": "parts",
            "Status": "Enabled",
            "Filter": {"Prefix": ""},
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
        },
    ]
    client.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": rules})
    assert client.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"] == rules
    client.delete_bucket_lifecycle(Bucket=bucket)
    assert code(client.get_bucket_lifecycle_configuration, Bucket=bucket) == "NoSuchLifecycleConfiguration"


def test_boto3_publishes_objects_and_lists(store: Store, bucket: str) -> None:
    client = store.client()
    client.put_object(Bucket=bucket, Key="open", Body=b"content", ACL="public-read")
    client.put_object(Bucket=bucket, Key="closed", Body=b"content")
    with urlopen(f"{store.url}/{bucket}/open") as answer:
        assert answer.read() == b"content"
    for path in (f"/{bucket}/closed", f"/{bucket}"):
        with pytest.raises(HTTPError, match="403"):
            urlopen(store.url + path)
    granted = client.get_object_acl(Bucket=bucket, Key="open")["Grants"]
    assert [(each["Grantee"].get("URI"), each["Permission"]) for each in granted] == [
        (EVERYBODY, "READ"),
        (None, "FULL_CONTROL"),
    ]
    client.put_bucket_acl(Bucket=bucket, ACL="public-read")
    with urlopen(f"{store.url}/{bucket}?list-type=2") as answer:
        assert b"<Key>closed</Key>" in answer.read()
    told = client.get_object_acl(Bucket=bucket, Key="closed")
    client.put_object_acl(
        Bucket=bucket,
        Key="open",
        AccessControlPolicy={"Owner": told["Owner"], "Grants": told["Grants"]},
    )
    with pytest.raises(HTTPError, match="403"):
        urlopen(f"{store.url}/{bucket}/open")


def test_boto3_signs_forms(store: Store, bucket: str) -> None:
    for version in (None, "s3v4"):  # as boto3 does by itself, and as it should
        _send_forms(store, bucket, store.client(signature_version=version))


def _send_forms(store: Store, bucket: str, client: Any) -> None:
    form = client.generate_presigned_post(
        bucket,
        "in/${filename}",
        Fields={"Content-Type": "text/plain", "success_action_status": "201"},
        Conditions=[
            {"Content-Type": "text/plain"},
            {"success_action_status": "201"},
            ["content-length-range", 1, 100],
        ],
    )
    fields = {name: value.encode() for name, value in form["fields"].items()}
    headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    with urlopen(Request(form["url"], form_of(fields, b"content", "a.txt"), headers)) as answer:
        assert answer.status == 201
    got = store.client().get_object(Bucket=bucket, Key="in/a.txt")
    assert (got["Body"].read(), got["ContentType"]) == (b"content", "text/plain")
    with pytest.raises(HTTPError, match="400"):
        urlopen(Request(form["url"], form_of(fields, b"x" * 101, "b.txt"), headers))
