"""Sign-in with an external OpenID Connect provider: what is asked of it, and what is believed of what it says."""
