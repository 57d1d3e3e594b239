"""The command line: `python generate.py schema|publish|check|clients|example|clean|serve`."""

import sys

from policy_server.commands.commands import main

if __name__ == "__main__":
    main(sys.argv[1:])
