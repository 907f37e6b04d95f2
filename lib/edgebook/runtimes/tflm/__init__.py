"""TensorFlow Lite for Microcontrollers on the host: its own kernels and its own memory plan, not its speed.

Files are LiteRT's. The arena is planned by a 64-bit build, whose pointers are twice a microcontroller's: a board needs a
little less.
"""
