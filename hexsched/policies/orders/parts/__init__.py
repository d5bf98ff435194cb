"""What orders share: attained service, and the choice among them by number."""
