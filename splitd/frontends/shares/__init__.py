"""Links by which people without a login read, or only leave, files: they act with the rights of the user who made them.

docs/sharing.md says what they promise.
"""
