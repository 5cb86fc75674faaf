"""The start screen and its dialogs."""
