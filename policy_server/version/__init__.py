"""What a version is made of: its parts, where they lie, and what its network is."""
