"""Save and load a fit: what is kept, the file it is kept in, and how the model is built again."""
