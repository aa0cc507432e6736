"""Promises proven on real processes."""
