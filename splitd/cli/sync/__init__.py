"""splitctl sync: makes a collection like a folder, or a folder like a collection."""
