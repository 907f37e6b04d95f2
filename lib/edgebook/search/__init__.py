"""Search for an architecture: the space, the methods that walk through it, the audit of what they bring."""
