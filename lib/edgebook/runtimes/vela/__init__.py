"""Arm's Ethos-U accelerators: Vela compiles LiteRT's integer files and estimates what they cost there.

Memory is the compiler's own plan. Time comes from Arm's model of the hardware, so it goes into `latency_ms_est`. The
accelerator is not here: outputs are those of the LiteRT file that was compiled, kept beside as `*.source.tflite`.
"""
