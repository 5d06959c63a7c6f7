"""A package, so that fixtures can end with the last test of this folder."""
