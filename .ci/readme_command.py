"""Prints the n-th `sh` block of the README, the one that CI must run word for word."""

import pathlib
import re
import sys

readme = pathlib.Path(__file__).parent.parent.joinpath("README.md").read_text()
blocks = re.findall(r"^```sh\n(.*?)^```", readme, re.S | re.M)
print(blocks[int(sys.argv[1]) - 1].strip())
