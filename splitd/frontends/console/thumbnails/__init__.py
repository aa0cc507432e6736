"""Thumbnails: small pictures of stored images, made by processes of their own and kept in memory by version."""
