"""Who may do what: users, keys, how they prove who they are, and what is written down of it."""
