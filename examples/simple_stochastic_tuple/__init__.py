"""Two rooms and three doors: the smallest task with a tuple of actions."""
