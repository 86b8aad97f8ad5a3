"""`python -m cluster.cli`, the same as `loupe`."""

from cluster.cli import main

main()
