"""What translates between the core and the outside; adapters never import one another."""
