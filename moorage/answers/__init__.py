"""The operator's answers: one typed, validated, versioned model, stored as YAML."""
