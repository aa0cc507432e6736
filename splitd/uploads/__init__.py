"""Files on their way in: `Uploads` begins each; `streamed` for large ones, `small` and `group` for small ones."""
