"""Data and figures as tables for files: built from what the services answer, row by row."""
