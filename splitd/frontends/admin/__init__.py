"""The front door for operators: is it alive, is it ready, how is it doing; and what to do now."""
