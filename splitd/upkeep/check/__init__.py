"""Checks of files on demand: whether all their parts are there, and whether every byte of them is right."""
