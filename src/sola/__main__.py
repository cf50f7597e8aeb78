"""`python -m sola`."""

from sola.cli import main

main()
