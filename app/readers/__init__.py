"""Readers of files: what `vitrine import` reads, as wire-format records; no database, no validation."""
