"""Every setting: read once, checked at once."""

from policy_server.app.settings import Settings, contracts_of, read_settings

__all__ = ["Settings", "contracts_of", "read_settings"]
