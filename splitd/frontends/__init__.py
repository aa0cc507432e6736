"""The front doors.  Each knows `splitd.interfaces.IObjectStore` and nothing below it, and none knows another."""
