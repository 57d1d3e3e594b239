"""A version for programs that ask no server: its network, its meanings, and examples."""
