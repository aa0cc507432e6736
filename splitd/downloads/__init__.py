"""Files on their way out: `streamed` for large ones, `small` and `cache` for small ones; `pins` keep what is read."""
