"""GetObjectTagging, PutObjectTagging and DeleteObjectTagging.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObjectTagging.html
"""

from __future__ import annotations

from functools import partial
from xml.etree.ElementTree import Element

from splitd.frontends.s3.answers import answer
from splitd.frontends.s3.door import S3Request
from splitd.frontends.s3.headers import MOST_TAGS, check_tags
from splitd.frontends.s3.objects.get import refuse_version
from splitd.frontends.s3.xml import document, element, malformed, only_text, parse, refuse_others, text
from splitd.model.media import Labels

Tags = tuple[tuple[str, str], ...]


async def get_object_tagging(request: S3Request) -> None:
    """Tell the tags of an object."""
    refuse_version(request)
    manifest = await request.keys.stat_granted(request.bucket, request.key)
    answer(request.http, 200, write_tags(manifest.media.tags))


async def put_object_tagging(request: S3Request) -> None:
    """Give an object other tags."""
    refuse_version(request)
    await _retag(request, await request.understand(await request.read_xml(), partial(read_tags, most=MOST_TAGS)))
    answer(request.http, 200)


async def delete_object_tagging(request: S3Request) -> None:
    """Take the tags of an object away."""
    refuse_version(request)
    await _retag(request, ())
    answer(request.http, 204)


async def _retag(request: S3Request, tags: Tags) -> None:
    await request.keys.relabel(request.bucket, request.key, Labels(tags=tags))


def read_tags(body: bytes, most: int) -> Tags:
    """Read a set of tags.

    :param most: how many there may be.
    :raise S3Error: it is none, or has tags that cannot be.
    """
    root = parse(body, "Tagging")
    refuse_others(root, {"TagSet"})
    if len(root) != 1:
        raise malformed()
    return read_tag_set(root[0], most)


def read_tag_set(tags: Element, most: int) -> Tags:
    """Read the tags that are the content of an element; see `read_tags`."""
    refuse_others(tags, {"Tag"})
    return check_tags([read_tag(tag) for tag in tags], most)


def read_tag(tag: Element) -> tuple[str, str]:
    """Return the key and the value of a tag that is the content of an element."""
    refuse_others(tag, {"Key", "Value"})
    return only_text(tag, "Key"), only_text(tag, "Value")


def write_tags(tags: Tags) -> bytes:
    """Return a set of tags as a document."""
    return document(
        "Tagging", element("TagSet", *(element("Tag", text("Key", key), text("Value", value)) for key, value in tags))
    )
