"""Signatures of version 4, as Amazon S3 defines them: in a header, in a URL, and of each chunk of a body.

`claims` reads who a request claims to come from, `stated` what its headers say of its signature, and `canonical` what
was signed; `authentication` proves it, and `alike` remembers how earlier requests were signed.
"""
