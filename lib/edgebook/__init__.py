"""Which lightweight version of this network should ship on that edge device?

Nothing is imported here, so that the measuring side (`edgebook.runtimes`, `edgebook.measure.bench`)
needs numpy and one runtime only and can be copied to a board.
"""
