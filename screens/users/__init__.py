"""Users: staged changes, the table, its dialogs, and the users as the servers have them."""
