"""What the users screen is made of: staged changes, engine calls, its table and its dialogs."""
