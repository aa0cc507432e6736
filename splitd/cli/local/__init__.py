"""Runs a whole cluster on one machine: its plan, its folder, its processes."""
