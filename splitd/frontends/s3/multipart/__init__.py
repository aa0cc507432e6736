"""Uploads in parts, each of which becomes a segment of the object."""
