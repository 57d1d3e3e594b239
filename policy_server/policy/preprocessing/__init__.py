"""Preprocessing that is declared as data: which fields make features, and how these are scaled."""
