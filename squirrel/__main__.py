"""`python -m squirrel` is the `squirrel` command."""

from squirrel.cli import main

main()
