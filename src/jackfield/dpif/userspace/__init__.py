"""The userspace datapath: polling threads of compiled code, told what to do by the main thread.

See README.md for how the parts work together and what each kernel costs.
"""
