"""Descriptive figures of the shop: sales, cohorts, items and categories."""
