"""Generated SDKs."""
