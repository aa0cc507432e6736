"""The code that all HTTP front doors share: targets, conditions, bodies, digests, ranges of a file, times, answers."""
