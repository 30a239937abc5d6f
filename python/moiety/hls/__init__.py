"""The FPGA side: golden vectors and memory images for the HLS kernels of `hls/`, and the flow that runs them.

`moiety hls --help` lists the commands; `hls/README.md` is for the FPGA engineer.
"""
