"""The steps of the tour.  Each does something to the service, prints it, and checks the outcome."""
