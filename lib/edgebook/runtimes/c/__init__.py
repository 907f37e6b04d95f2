"""A static int8 .tflite as one C99 file: `generate.source` writes it, `host.load` compiles and runs it here."""
