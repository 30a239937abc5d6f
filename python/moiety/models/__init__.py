"""Demo models, one file each."""
