"""Downloads: `streamed` for large files, `small` and `cache` for small ones; `pins` keep the parts that are read."""
