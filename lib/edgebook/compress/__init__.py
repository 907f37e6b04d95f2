"""Techniques in the float domain, one file each: `(model, task, *, ...) -> model`, the input untouched."""
