"""Downloads: `Downloads` opens each file; `streamed` reads large files, `small` and `cache` small ones.

`pins` keeps the parts of a version in place while it is read.
"""
