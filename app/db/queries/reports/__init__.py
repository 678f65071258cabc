"""Figures of the shop, aggregated by the database: one code path for both engines."""
