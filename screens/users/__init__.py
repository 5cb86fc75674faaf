"""The users screen: the table, its dialogs, and staged changes."""
