"""What `canary_session.py` is made of."""
