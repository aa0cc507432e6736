"""splitctl tls: makes certificates, for a try and for the traffic inside a cluster.

`making` makes them; `command` has the commands.
"""
