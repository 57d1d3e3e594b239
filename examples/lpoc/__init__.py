"""A grid factory in which the policy steers one of the tables."""
