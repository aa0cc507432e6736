"""What both daemons need of the system below: files, settings, threads, memory, ranges."""
