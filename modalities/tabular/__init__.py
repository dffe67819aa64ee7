"""Tables: a row is a sample, a cell a token."""
