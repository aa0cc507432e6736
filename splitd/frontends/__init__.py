"""The front doors, one package for each protocol.  Each knows `splitd.interfaces.IObjectStore` and nothing below it,
and none knows another front door.
"""
