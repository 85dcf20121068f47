"""Stands in for the Agent's way of starting a process, as its Go and C code does it.

Output is read to the end, cut at the first NUL and must be UTF-8. A program that is not found raises; one that cannot
be started for another reason gives no output and status 0. A process ended by a signal has status -1. Without an
environment of its own the process gets the Agent's, API key included.
"""
import os
import subprocess


class SubprocessOutputEmptyError(Exception):
    pass


def get_subprocess_output(command, log, raise_on_empty_output=True, log_debug=True, env=None):
    if log_debug:
        log.debug('Running get_subprocess_output with cmd: %s', command)
    for key, value in (env or {}).items():
        if not isinstance(key, str) or not isinstance(value, str):
            raise TypeError('env must be a dict of strings')
    if not os.path.exists(command[0]):
        raise Exception('internal error running command: %s: executable file not found' % command[0])
    try:
        done = subprocess.run(list(command), env=env or None, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    except OSError:
        return '', '', 0
    if raise_on_empty_output and not done.stdout:
        raise SubprocessOutputEmptyError('get_subprocess_output expected output but had none.')
    out, err = (stream.split(b'\0')[0].decode('utf-8') for stream in (done.stdout, done.stderr))
    return out, err, max(done.returncode, -1)
