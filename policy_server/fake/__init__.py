"""A fake server for tests of clients: valid random decisions for a schema, without a model."""

from policy_server.fake.context import KEY, PASSWORD, USER, fake_server

__all__ = ["KEY", "PASSWORD", "USER", "fake_server"]
