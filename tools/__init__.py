"""What `make` runs: not part of the installed package."""
