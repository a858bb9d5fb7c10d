"""python -m train --config=configs/lm_tiny.py --workdir=runs/a [--config.train.num_steps=100]

Light on purpose: worker processes import this file again.
"""

import sys
import time

if __name__ == "__main__":
    began_s = time.perf_counter()
    from train import session

    sys.exit(session.main(sys.argv[1:], began_s=began_s))
