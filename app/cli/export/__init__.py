"""`vitrine export`: data and figures as files."""
