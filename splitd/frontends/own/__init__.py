"""Keys and tokens that people make for themselves: JSON at `/.splitd/api/keys`, which the console and `splitctl key`
use.
"""
