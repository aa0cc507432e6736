"""Workers: the processes of one front that serve clients.  Pure."""

MOST_WORKERS = 64
"""More cores than a front has; memory that the processes share has a place for each."""
