"""Runs the program `atlassian-audit-records` as a check of the Datadog Agent.

One run: hand the program a request in its environment, turn each line of its answer into what the Agent
knows, and fail where the program says so. All the work is the program's; it is looked for in init_config's
`program_path`, then beside this file, in the usual folders and in PATH. It is not run when anyone but root,
the owner of this file or the Agent's own user could have written it.
"""
import json
import os
import re
import shutil
import stat

from datadog_checks.base import AgentCheck
from datadog_checks.base.errors import CheckException
from datadog_checks.base.utils.subprocess_output import get_subprocess_output

try:
    import datadog_agent
except ImportError:
    from datadog_checks.base.stubs import datadog_agent

NAME = 'atlassian_audit_records'
PROGRAM = 'atlassian-audit-records'
REQUEST = 'ATLASSIAN_AUDIT_RECORDS_REQUEST'
WINDOWS = os.name == 'nt'
FOLDERS = [r'C:\Program Files\atlassian-audit-records'] if WINDOWS else ['/usr/local/bin', '/usr/bin']
# Linux takes 128 KiB in one environment variable, Windows 32,767 characters.
REQUEST_MAX_KIB = 30 if WINDOWS else 120
# Nothing else of the Agent's environment reaches the program: above all not its API key.
ENVIRONMENT = {'PATH', 'HOME', 'TMPDIR', 'TEMP', 'TMP', 'SYSTEMROOT', 'PROGRAMDATA', 'USERPROFILE', 'SSL_CERT_FILE',
               'SSL_CERT_DIR', 'HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY', 'NO_PROXY', 'KUBERNETES_SERVICE_HOST',
               'KUBERNETES_SERVICE_PORT'}
METRIC_TYPES = ('gauge', 'rate', 'count', 'monotonic_count', 'histogram')
LEVELS = {'trace': 7, 'debug': 10, 'info': 20, 'warn': 30, 'warning': 30, 'error': 40, 'critical': 40}
SECRET = re.compile('token$|secret$|api_key$|password', re.IGNORECASE)


class AtlassianAuditRecordsCheck(AgentCheck):
    def check(self, instance):
        config = self.init_config or {}
        version = re.match(r'(\d+)\.(\d+)', str(datadog_agent.get_version()))
        if version and (int(version[1]), int(version[2])) < (7, 77):
            self.warning('Agent %s is older than 7.77: it may refuse `start_position: beginning` on a wildcard path, and '
                         'then sends no audit records. Update the Agent.', version[0])
        try:
            error = self._collect(config, instance)
        except Exception as e:
            message = self._hide(str(e) or type(e).__name__)
            if instance.get('service_checks', config.get('service_checks', True)) is not False:
                self.service_check(NAME + '.can_connect', AgentCheck.CRITICAL, tags=_tags(instance), message=message)
            raise CheckException(message) from None
        if error:
            raise CheckException(self._hide(str(error)))

    def _collect(self, config, instance):
        """Runs the program once; returns the error of its result, None where there was none."""
        program = _find(config.get('program_path'))
        request = json.dumps({'protocol': 1, 'check_id': self.check_id, 'check_name': NAME, 'init_config': config,
                              'instance': instance, 'agent': _agent()}, default=str, separators=(',', ':'))
        if len(request) > REQUEST_MAX_KIB << 10:
            raise CheckException('The configuration of this instance makes a request of %d KiB, and at most %d KiB can be '
                                 'handed to %s: shorten it.' % ((len(request) >> 10) + 1, REQUEST_MAX_KIB, PROGRAM))
        env = {k: v for k, v in os.environ.items() if k.upper() in ENVIRONMENT and v}
        env[REQUEST] = request
        out, err, code = get_subprocess_output([program, 'collect'], self.log, raise_on_empty_output=False,
                                               log_debug=False, env=env)
        result, err = None, self._hide((err or '').strip()[:4096])
        for number, line in enumerate((out or '').split('\n'), 1):
            try:
                answer = json.loads(line) if line.strip() else {'type': ''}
                if answer['type'] == 'result':
                    result = answer
                self._submit(answer)
            except Exception as e:
                self.log.warning('Line %d of the answer of %s was ignored: %s', number, PROGRAM, type(e).__name__)
        if err:
            self.log.debug('%s wrote to standard error: %s', PROGRAM, err)
        if result is None:
            raise CheckException('%s ended with exit status %s before it gave a result%s. Run `%s version` as the user of the '
                                 'Agent to see whether it starts.' % (program, code, err and ': ' + err.split('\n')[0], program))
        return result.get('error')

    def _submit(self, answer):
        """Turns one line of the answer into what the Agent knows; a type that it does not know is ignored."""
        kind, tags, hostname = answer['type'], answer.get('tags') or [], answer.get('hostname') or None
        text = self._hide(str(answer.get('message') or ''))
        if kind == 'service_check':
            status = (AgentCheck.OK, AgentCheck.WARNING, AgentCheck.CRITICAL, AgentCheck.UNKNOWN)[int(answer['status'])]
            self.service_check(answer['name'], status, tags=tags, hostname=hostname, message=text)
        elif kind == 'metric' and answer['metric_type'] in METRIC_TYPES:
            getattr(self, answer['metric_type'])(answer['name'], float(answer['value']), tags=tags, hostname=hostname)
        elif kind == 'event':
            event = {'event_type': NAME, 'source_type_name': NAME, 'host': hostname or datadog_agent.get_hostname(),
                     'tags': tags, 'msg_title': self._hide(answer['title']), 'msg_text': self._hide(answer['text'])}
            event.update({k: answer[k] for k in ('alert_type', 'aggregation_key') if answer.get(k)})
            self.event(event)
        elif kind == 'warning':
            self.warning('%s', text)
        elif kind == 'log':
            self.log.log(LEVELS.get(str(answer.get('level')).lower(), 20), '%s', text)

    def _hide(self, text):
        """The text without the secrets of the configuration: the program writes none, and this makes sure."""
        parts = [p for p in (self.init_config, self.instance, (self.instance or {}).get('auth')) if isinstance(p, dict)]
        for secret in {str(v) for part in parts for k, v in part.items() if v and SECRET.search(str(k))}:
            text = text.replace(secret, '********')
        return text


def _tags(instance):
    site = re.sub(r'^\w+://|/.*$', '', str(instance.get('site') or '')).rpartition('@')[2].lower()
    return ['site:' + site] * bool(site) + [str(t) for t in instance.get('tags') or []]


def _agent():
    """What the program may want to know of the Agent; what the Agent does not tell is left out."""
    get = datadog_agent.get_config
    proxy = get('proxy') or {}
    facts = {'version': datadog_agent.get_version(), 'hostname': datadog_agent.get_hostname(), 'run_path': get('run_path'),
             'logs_run_path': get('logs_config.run_path'), 'log_level': get('log_level'),
             'logs_enabled': {'true': True, 'false': False}.get(str(get('logs_enabled')).lower()),  # text when it is an env
             'proxy': {'http': proxy.get('http') or '', 'https': proxy.get('https') or '',
                       'no_proxy': proxy.get('no_proxy') or []}}
    return {k: v for k, v in facts.items() if v is not None}


def _find(configured):
    """The real path of the program; raises when there is none, or one that somebody else may write."""
    folders = [os.path.dirname(os.path.abspath(__file__))] + FOLDERS + [os.environ.get('PATH', '')]
    path = str(configured) if configured else shutil.which(PROGRAM, path=os.pathsep.join(folders)) or ''
    if not os.path.isabs(path) or not os.path.isfile(path) or not os.access(path, os.X_OK):
        raise CheckException('%s is not a program that the Agent can run: install %s in %s, or set `program_path` in '
                             'init_config to its absolute path.' % (path or PROGRAM, PROGRAM, FOLDERS[0]))
    path = at = os.path.realpath(path)
    while not WINDOWS:  # the program, its folder, and every folder above
        st = os.stat(at)
        if st.st_uid not in (0, os.geteuid(), os.stat(__file__).st_uid):
            raise CheckException('%s was not started: %s belongs to another user. Run `chown root %s`.' % (path, at, at))
        # In a sticky folder nobody replaces the files of others; for folders the group of root counts as root.
        folder = stat.S_ISDIR(st.st_mode)
        if st.st_mode & (0o002 if folder and st.st_gid == 0 else 0o022) and not (folder and st.st_mode & stat.S_ISVTX):
            raise CheckException('%s was not started: others may write %s. Run `chmod go-w %s`.' % (path, at, at))
        if at == os.path.dirname(at):
            return path
        at = os.path.dirname(at)
    return path
