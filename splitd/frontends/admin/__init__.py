"""The front door for operators: health, readiness, status, metrics, and upkeep on request."""
