"""GetObjectAttributes.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectAttributes.html
"""

from __future__ import annotations

from itertools import zip_longest

from splitd.frontends.http.times import format_time
from splitd.frontends.s3.answers import answer
from splitd.frontends.s3.door import S3Request
from splitd.frontends.s3.errors import S3Error
from splitd.frontends.s3.headers import etag_of
from splitd.frontends.s3.objects.get import refuse_version
from splitd.frontends.s3.payload.checksums import parse_kept, parse_parts
from splitd.frontends.s3.xml import document, element, text
from splitd.model.manifest import Manifest

_MOST_PARTS = 1000
_KNOWN = frozenset({"ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"})


async def get_object_attributes(request: S3Request) -> None:
    """Tell what is asked for of an object, without its bytes."""
    refuse_version(request)
    asked = {
        each.strip() for value in request.http.header_values("x-amz-object-attributes") for each in value.split(",")
    } - {""}
    if not asked or not asked <= _KNOWN:
        raise S3Error("InvalidArgument", "Invalid attribute name specified.", ArgumentName="x-amz-object-attributes")
    manifest = await request.keys.stat_granted(request.bucket, request.key)
    request.http.setHeader("Last-Modified", format_time(manifest.created_ms))
    told: list[str] = []
    if "ETag" in asked:
        told.append(text("ETag", etag_of(manifest).strip('"')))
    checksum = parse_kept(manifest.media.checksum)
    if "Checksum" in asked and checksum is not None:
        value = text(checksum.algorithm.element, checksum.value)
        told.append(element("Checksum", value, text("ChecksumType", checksum.type)))
    if "ObjectParts" in asked and manifest.packed_segments:
        told.append(_parts(request, manifest))
    if "StorageClass" in asked:
        told.append(text("StorageClass", "STANDARD"))
    if "ObjectSize" in asked:
        told.append(text("ObjectSize", manifest.size))
    answer(request.http, 200, document("GetObjectAttributesResponse", *told))


def _parts(request: S3Request, manifest: Manifest) -> str:
    marker, most = (
        request.header(name) or other
        for name, other in (("x-amz-part-number-marker", "0"), ("x-amz-max-parts", "1000"))
    )
    if not all(each.isascii() and each.isdigit() and len(each) < 10 for each in (marker, most)):
        raise S3Error("InvalidArgument", "x-amz-max-parts and x-amz-part-number-marker should be numbers")
    limit = min(int(most), _MOST_PARTS)
    checksum, values = parse_kept(manifest.media.checksum), parse_parts(manifest.media.checksum)
    told = zip_longest(manifest.segments, values)
    behind = [(each, value) for each, value in told if each.number > int(marker)]
    shown = behind[:limit]
    return element(
        "ObjectParts",
        text("PartsCount", len(manifest.segments)),
        text("PartNumberMarker", marker),
        text("NextPartNumberMarker", shown[-1][0].number if shown else 0),
        text("MaxParts", limit),
        text("IsTruncated", "true" if 0 < limit < len(behind) else "false"),
        *(
            element(
                "Part",
                text("PartNumber", each.number),
                text("Size", each.size),
                text(checksum.algorithm.element, value) if checksum is not None and value else "",
            )
            for each, value in shown
        ),
    )
