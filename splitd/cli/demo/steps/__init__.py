"""The steps of the tour.  Each does something to the service, tells it, and checks what came of it."""
