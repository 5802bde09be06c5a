"""**The command.** It parses, calls and prints."""
