"""Where a file runs besides this machine: emulated cores, other machines, a bundle that travels."""
