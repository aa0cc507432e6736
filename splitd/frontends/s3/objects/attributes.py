"""GetObjectAttributes.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectAttributes.html
"""

from __future__ import annotations

from splitd.frontends.http.times import format_time
from splitd.frontends.s3.answers import answer
from splitd.frontends.s3.door import S3Request
from splitd.frontends.s3.errors import S3Error
from splitd.frontends.s3.headers import etag_of
from splitd.frontends.s3.objects.get import refuse_version
from splitd.frontends.s3.payload.checksums import parse_kept
from splitd.frontends.s3.xml import document, element, text

_KNOWN = frozenset({"ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"})


async def get_object_attributes(request: S3Request) -> None:
    """Tell what is asked for of an object, without its bytes."""
    refuse_version(request)
    asked = {
        each.strip() for value in request.http.header_values("x-amz-object-attributes") for each in value.split(",")
    } - {""}
    if not asked or not asked <= _KNOWN:
        raise S3Error("InvalidArgument", "Invalid attribute name specified.", ArgumentName="x-amz-object-attributes")
    manifest = await request.keys.stat(request.bucket, request.key)
    request.http.setHeader("Last-Modified", format_time(manifest.created_ms))
    told: list[str] = []
    if "ETag" in asked:
        told.append(text("ETag", etag_of(manifest).strip('"')))
    checksum = parse_kept(manifest.media.checksum)
    if "Checksum" in asked and checksum is not None:
        value = text(checksum.algorithm.element, checksum.value)
        told.append(element("Checksum", value, text("ChecksumType", checksum.type)))
    if "StorageClass" in asked:
        told.append(text("StorageClass", "STANDARD"))
    if "ObjectSize" in asked:
        told.append(text("ObjectSize", manifest.size))
    answer(request.http, 200, document("GetObjectAttributesResponse", *told))
