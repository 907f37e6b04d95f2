"""Distillation: a student is trained with a teacher.

outputs.py trains it on the teacher's outputs, features.py on the outputs of inner layers too; losses.py has what they
minimise. Self-distillation is `distill` with a trained copy of the student's own shape as the teacher.
"""
