"""A policy server: decisions of a trained reinforcement-learning policy over a typed REST API."""
