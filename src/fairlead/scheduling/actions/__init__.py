"""The actions of a cycle, least disruptive first."""
