"""The base of both daemons: files, settings, clocks, threads, memory, ranges."""
