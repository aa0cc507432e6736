"""splitctl demo: a guided tour that checks each of its steps."""
