"""Files on their way in: `streamed` for large ones, `small` and `group` for small ones."""
