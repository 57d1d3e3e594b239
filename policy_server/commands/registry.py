"""The commands, in the order in which they are needed."""

import inspect

from fire.decorators import SetParseFn

from policy_server.commands.arguments import Command
from policy_server.commands.clean import clean
from policy_server.commands.clients import clients
from policy_server.commands.copying import fingerprint, pull, push
from policy_server.commands.describe import describe
from policy_server.commands.edge import edge
from policy_server.commands.example import example
from policy_server.commands.export import export
from policy_server.commands.fake import fake
from policy_server.commands.fsck import fsck
from policy_server.commands.grpc import grpc
from policy_server.commands.key import key
from policy_server.commands.load import load
from policy_server.commands.policy import policy
from policy_server.commands.publish import check, publish
from policy_server.commands.report import report
from policy_server.commands.schema import schema
from policy_server.commands.serve import serve
from policy_server.commands.user import user


def _with_texts(command: Command) -> Command:
    """Fire would read the version 1.10 as the number 1.1, and a folder 2026 as one, too."""
    texts = [
        name
        for name, each in inspect.signature(command).parameters.items()
        if each.annotation in (str, str | None)
    ]
    parsed: Command = SetParseFn(str, *texts)(command) if texts else command
    return parsed


COMMANDS: dict[str, Command] = {
    command.__name__: _with_texts(command)
    for command in (
        schema,
        describe,
        export,
        check,
        publish,
        pull,
        push,
        fingerprint,
        edge,
        report,
        serve,
        grpc,
        policy,
        user,
        key,
        example,
        load,
        fake,
        clients,
        fsck,
        clean,
    )
}
