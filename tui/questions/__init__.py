"""Questions of the engine: who asks, in which order, in which dialogs."""
