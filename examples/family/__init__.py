"""A family of runs: several encoders, under several kinds of noise, on two data sets."""
