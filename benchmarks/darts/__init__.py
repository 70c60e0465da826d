"""The DARTS space (Liu, Simonyan and Yang, ICLR 2019): cells, networks, evaluation by training."""
