"""Files on their way out: `Downloads` opens each; `streamed` for large ones, `small` and `cache` for small ones.

`pins` keep the parts of a version in place while it is read.
"""
