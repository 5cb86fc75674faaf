"""What the operator decided: one typed, validated, versioned model, kept as YAML."""
