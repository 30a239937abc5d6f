"""Drivers: configuration files, run folders, trials and reports around `moiety.search`."""
