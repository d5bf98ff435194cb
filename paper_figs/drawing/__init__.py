"""What figures share: how they are laid out, what they look like, how they are written to files."""
