"""`make bench`."""

from tests.benchmarks.rooms import main

main()
