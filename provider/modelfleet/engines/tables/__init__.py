"""The options of each engine's releases, as read from their sources. Data."""
