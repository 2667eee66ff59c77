"""Tables of any kind, the rows of them that can be used, and what the names in a formula stand for."""
