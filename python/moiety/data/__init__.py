"""Readers of images and datasets: numpy arrays in, numpy arrays out, no torch."""
