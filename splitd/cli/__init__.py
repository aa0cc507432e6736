"""splitctl: the operator's tool.  A plain synchronous program that knows the daemons by their HTTP only."""
