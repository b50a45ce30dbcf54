"""A broker in a process of its own, to be killed: `python -m tests.broker.process HOME`."""

import sys
from pathlib import Path

from stead.broker import broker_app
from stead.identity.home import Home
from stead.identity.serving import serve_at
from stead.identity.workload import Workload

if __name__ == "__main__":
    home = Home(Path(sys.argv[1]))
    serve_at(home.network.broker, lambda: broker_app(Workload.open("broker", home=home)))
