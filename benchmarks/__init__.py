"""Measurements, each as a ratio against something in the same run: `make bench`, or `python -m benchmarks NAME`."""
