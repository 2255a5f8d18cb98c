"""The Fairlead on this machine: started, looked at, stopped."""
