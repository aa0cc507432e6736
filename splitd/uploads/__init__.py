"""Uploads: `Uploads` begins each; `streamed` stores large files, `small` and `group` small ones."""
