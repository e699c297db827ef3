"""Commands of `python -m gantrans` by subject; `gantrans.__main__` combines them."""
