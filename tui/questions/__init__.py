"""Questions of the engine to the operator, and their dialogs."""
