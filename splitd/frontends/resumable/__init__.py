"""Resumable uploads: tus 1.0 below `/.splitd/uploads/`, and the draft of the IETF on the URLs of files.

Both send a file over several requests, at an offset that the server tells.  All bytes that are told as received are
durable.  docs/resumable.md says how to use them.
"""
