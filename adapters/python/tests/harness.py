"""What the tests of the adapter share: the module under test, a check to run, and a program that answers as told."""
import contextlib
import json
import os
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE / 'stubs'), str(HERE.parent)]

import atlassian_audit_records as adapter  # noqa: E402
import datadog_agent  # noqa: E402

SECRET = 'ATATT3xFfGF0-not-a-real-token'
OK = '{"type": "result", "error": null}'

FAKE = """#!%s
import json, os, signal, sys
here = os.path.dirname(os.path.abspath(__file__))
with open(os.path.join(here, 'play.json'), encoding='utf-8') as f:
    play = json.load(f)
with open(os.path.join(here, 'seen.json'), 'w', encoding='utf-8') as f:
    json.dump({'argv': sys.argv[1:], 'env': dict(os.environ), 'stdin': sys.stdin.read()}, f)
sys.stdout.buffer.write(bytes.fromhex(play['stdout']))
sys.stderr.write(play['stderr'])
sys.stdout.flush()
if play['killed']:
    os.kill(os.getpid(), signal.SIGKILL)
sys.exit(play['status'])
"""


def instance(**changes):
    """An instance with a secret in it, as the Agent hands it over after resolving its handles."""
    made = {'site': 'https://Example.atlassian.net/wiki', 'tags': ['env:test'],
            'auth': {'type': 'api_token', 'email': 'audit@example.com', 'api_token': SECRET}}
    made.update(changes)
    return made


def check(program=None, init_config=None, **changes):
    """The check as the Agent builds it: one instance in a tuple, check_id set after construction."""
    config = dict(init_config or {})
    if program is not None:
        config['program_path'] = str(program)
    made = adapter.AtlassianAuditRecordsCheck(name=adapter.NAME, init_config=config, instances=(instance(**changes),))
    made.check_id = 'atlassian_audit_records:0123456789abcdef'
    return made


def error(report):
    """The message of what `run` answered; None for a run without an error."""
    return json.loads(report)[0]['message'] if report else None


class Program:
    """A program in a folder of its own that answers as it was told and remembers how it was called."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.path = self.folder / adapter.PROGRAM
        self.path.write_text(FAKE % sys.executable, encoding='utf-8')
        self.path.chmod(0o755)
        self.answers()

    def answers(self, *lines, stderr='', status=0, killed=False, raw=None):
        stdout = ''.join(line + '\n' for line in lines).encode('utf-8') if raw is None else raw
        play = {'stdout': stdout.hex(), 'stderr': stderr, 'status': status, 'killed': killed}
        (self.folder / 'play.json').write_text(json.dumps(play), encoding='utf-8')

    @property
    def ran(self):
        return (self.folder / 'seen.json').exists()

    @property
    def seen(self):
        return json.loads((self.folder / 'seen.json').read_text(encoding='utf-8'))

    @property
    def request(self):
        return json.loads(self.seen['env'][adapter.REQUEST])


@contextlib.contextmanager
def folder():
    """A folder that only we may write, whatever the umask; its real path."""
    with tempfile.TemporaryDirectory() as made:
        os.chmod(made, 0o700)
        yield os.path.realpath(made)


@contextlib.contextmanager
def agent(version='7.77.0', **config):
    """The Agent around the check: its version, and what its configuration holds (dots written as two underscores)."""
    before = datadog_agent.version, datadog_agent.config
    datadog_agent.version = version
    datadog_agent.config = {key.replace('__', '.'): value for key, value in config.items()}
    try:
        yield
    finally:
        datadog_agent.version, datadog_agent.config = before
