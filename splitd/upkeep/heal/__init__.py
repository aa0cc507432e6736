"""Heal: rebuilds missing parts, and moves parts away from nodes that are gone or shall go."""
