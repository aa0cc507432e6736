"""Promises that are tested with real processes."""
