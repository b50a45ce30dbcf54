"""FinPort: the sample network, its launcher, its web page and the `stead` command line."""
