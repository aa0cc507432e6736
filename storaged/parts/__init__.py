"""The part protocol, shared with splitd: the format of parts, the messages that carry them, stores that hold them."""
