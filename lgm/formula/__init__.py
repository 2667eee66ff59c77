"""Text becomes a formula; nothing later reads it again."""
