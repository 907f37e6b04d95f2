"""A static int8 .tflite as one C99 file that needs no library but string.h.

`generate.source(path)` writes it, `load.load` compiles and runs it on this machine. On the way: `graph` reads the file, `lower`
turns operators into `steps`, `rounding`, `sub_8_bit` and `memory` choose scales, weight bits and the arena, `writers` and `text`
put the templates in `kernels/` together. `ends` is what the head of a C file tells.
"""
