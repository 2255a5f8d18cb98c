"""Real parts the tests use: built, installed, started."""
