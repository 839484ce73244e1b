"""Runs a command and writes its seconds, processor seconds and MiB at its peak. Usage: timed.py FILE COMMAND…"""

import resource
import subprocess
import sys
import time

began = time.monotonic()
ended = subprocess.run(sys.argv[2:])
seconds = time.monotonic() - began
used = resource.getrusage(resource.RUSAGE_CHILDREN)
with open(sys.argv[1], "w") as figures:
    print(f"{seconds:.2f} {used.ru_utime + used.ru_stime:.2f} {used.ru_maxrss >> 10}", file=figures)
sys.exit(ended.returncode)
