"""splitctl demo: a guided tour whose every step is checked."""
