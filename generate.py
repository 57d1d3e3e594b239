"""The command line: `python generate.py schema|check|publish|serve|example|clients|clean`."""

from policy_server.commands.program import main

if __name__ == "__main__":
    main(name="python generate.py")
