"""The NAS-Bench-201 space (Dong and Yang, ICLR 2020): cells, networks, tables."""
