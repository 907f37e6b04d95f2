"""Distillation: a small network is trained with a large one as its teacher."""
