"""Numbers that summaries quote: shares of explained variance, of groups in it, and of draws on one side of zero."""
