"""`python -m stead.demo` is the `stead` command."""

from stead.demo.cli import main

main()
