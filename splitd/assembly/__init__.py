"""Builds groups of the front's parts: `Access`, `Upkeep`, and the front doors.  `splitd.service` puts them together."""
