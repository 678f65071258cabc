"""Filters that people write: one grammar for those over customers and those over items."""
