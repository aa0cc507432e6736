"""splitctl: the operator's tool, a plain synchronous program.  It talks to the daemons only by HTTP, and never imports
Twisted.
"""
