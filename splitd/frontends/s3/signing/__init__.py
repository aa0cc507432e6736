"""Signatures of version 4, as Amazon S3 defines them: in a header, in a URL, and of each chunk of a body.

`claims` reads who a request claims to come from, `canonical` what was signed, and `authentication` proves it.
"""
