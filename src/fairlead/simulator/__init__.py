"""The scheduling core on scenario files and traces, in virtual time: no clock, no network, same input = same answer."""
