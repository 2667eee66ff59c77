"""A fit: effects, tables, verdict, predictions."""
