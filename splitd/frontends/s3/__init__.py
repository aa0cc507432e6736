"""The front door of programs made for Amazon S3: buckets and objects over the same tree as WebDAV.

docs/s3.md says what there is.
"""
