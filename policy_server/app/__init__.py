"""Settings, and the rooms wired into one application."""
