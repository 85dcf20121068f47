"""The adapter against a program that plays good and bad answers. Unix: the played program is a script."""
import datetime
import json
import logging
import os
import unittest
from pathlib import Path
from unittest import mock

from harness import OK, SECRET, Program, adapter, agent, check, datadog_agent, error, folder

CRITICAL = 2


class Log(logging.Handler):
    """Keeps what the check logs, at every level."""

    def __init__(self):
        super().__init__(level=1)
        self.records = []

    def emit(self, record):
        self.records.append(record)

    def text(self):
        return '\n'.join(r.getMessage() for r in self.records)


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = self.enterContextOf(folder())
        self.program = Program(self.folder)
        self.log = Log()
        logger = logging.getLogger('datadog_checks')
        logger.setLevel(1)
        logger.propagate = False
        logger.addHandler(self.log)
        self.addCleanup(logger.removeHandler, self.log)

    def enterContextOf(self, manager):
        value = manager.__enter__()
        self.addCleanup(manager.__exit__, None, None, None)
        return value

    def run_with(self, *lines, **how):
        """Runs the check once against these lines; answers the check and the message of its error."""
        made = how.pop('check', None) or check(self.program.path)
        self.program.answers(*lines, **how)
        return made, error(made.run())

    def can_connect(self, made):
        return [s for s in made.submitted if s[:2] == ('service_check', 'atlassian_audit_records.can_connect')]


class Lines(Case):
    def test_a_service_check_is_submitted_as_it_came(self):
        for status in range(4):
            made, failed = self.run_with(
                json.dumps({'type': 'service_check', 'name': 'atlassian_audit_records.is_current', 'status': status,
                            'tags': ['site:example.atlassian.net', 'product:jira'], 'hostname': '', 'message': 'in order'}), OK)
            self.assertIsNone(failed)
            self.assertEqual(made.submitted, [('service_check', 'atlassian_audit_records.is_current', status,
                                               ['site:example.atlassian.net', 'product:jira'], '', 'in order')])

    def test_each_type_of_metric_is_submitted_by_its_own_method(self):
        kinds = ['gauge', 'rate', 'count', 'monotonic_count', 'histogram']
        made, failed = self.run_with(*[
            json.dumps({'type': 'metric', 'metric_type': kind, 'name': 'atlassian.audit_records.' + kind, 'value': 3.25,
                        'tags': ['product:jira'], 'hostname': 'db-1'}) for kind in kinds], OK)
        self.assertIsNone(failed)
        self.assertEqual(made.submitted,
                         [(k, 'atlassian.audit_records.' + k, 3.25, ['product:jira'], 'db-1') for k in kinds])

    def test_an_event_carries_title_text_tags_and_this_host(self):
        made, failed = self.run_with(
            json.dumps({'type': 'event', 'title': 'The state was set aside', 'text': 'Since noon.', 'alert_type': 'warning',
                        'tags': ['product:jira'], 'aggregation_key': 'state'}), OK)
        self.assertIsNone(failed)
        self.assertEqual(made.submitted, [('event', {
            'msg_title': 'The state was set aside', 'msg_text': 'Since noon.', 'alert_type': 'warning', 'host': 'web-1',
            'tags': ['product:jira'], 'aggregation_key': 'state', 'event_type': 'atlassian_audit_records',
            'source_type_name': 'atlassian_audit_records'})])

    def test_an_event_without_optional_fields_has_no_empty_ones(self):
        made, _ = self.run_with(json.dumps({'type': 'event', 'title': 'a', 'text': 'b'}), OK)
        self.assertEqual(set(made.submitted[0][1]),
                         {'msg_title', 'msg_text', 'host', 'tags', 'event_type', 'source_type_name'})

    def test_a_warning_shows_in_the_status_of_the_agent_per_cent_signs_included(self):
        made, failed = self.run_with('{"type": "warning", "message": "the disk is 95% full: %s %d"}', OK)
        self.assertIsNone(failed)
        self.assertEqual(made.get_warnings(), ['the disk is 95% full: %s %d'])

    def test_a_log_line_keeps_its_level_and_never_the_one_that_stops_the_agent(self):
        levels = {'trace': 7, 'debug': 10, 'info': 20, 'warn': 30, 'warning': 30, 'error': 40, 'critical': 40, 'other': 20}
        _, failed = self.run_with(
            *[json.dumps({'type': 'log', 'level': name, 'message': 'from %s 100%%' % name}) for name in levels], OK)
        self.assertIsNone(failed)
        got = {r.getMessage(): r.levelno for r in self.log.records if r.getMessage().startswith('from ')}
        self.assertEqual(got, {'from %s 100%%' % name: level for name, level in levels.items()})

    def test_unknown_types_and_unknown_metric_types_are_ignored_without_a_word(self):
        made, failed = self.run_with('{"type": "histogram_bucket", "name": "x"}', '',
                                     '{"type": "metric", "metric_type": "set", "name": "x", "value": 1}', OK)
        self.assertIsNone(failed)
        self.assertEqual(made.submitted, [])
        self.assertFalse([r for r in self.log.records if r.levelno >= logging.WARNING])

    def test_a_line_that_cannot_be_used_is_named_and_the_others_count(self):
        bad = ['not json', '[1]', 'null', '{"no": "type"}', '{"type": "metric", "metric_type": "gauge", "name": "x", "value": "y"}',
               '{"type": "service_check", "name": "x", "status": 7}', '{"type": "metric", "metric_type": "gauge", "value": 1}',
               '{"type": "service_check", "name": "nul\\u0000", "status": 0}', '{"type": "event", "title": 1, "text": "t"}']
        made, failed = self.run_with(*bad, '{"type": "metric", "metric_type": "gauge", "name": "x", "value": 1}', OK)
        self.assertIsNone(failed)
        self.assertEqual(made.submitted, [('gauge', 'x', 1.0, [], '')])
        warned = [r.getMessage() for r in self.log.records if r.levelno == logging.WARNING]
        self.assertEqual([w.split(' ')[1] for w in warned], [str(n) for n in range(1, len(bad) + 1)])
        self.assertNotIn('not json', ' '.join(warned))

    def test_only_a_line_feed_ends_a_line(self):
        made, failed = self.run_with('{"type": "warning", "message": "a\u2028b\u0085c"}', OK)
        self.assertIsNone(failed)
        self.assertEqual(made.get_warnings(), ['a\u2028b\u0085c'])


class Results(Case):
    def test_an_error_of_the_program_fails_the_run_after_everything_was_submitted(self):
        made, failed = self.run_with(
            '{"type": "result", "error": "jira: the token was refused (401): make a new one"}',
            '{"type": "metric", "metric_type": "count", "name": "atlassian.audit_records.errors", "value": 1}', status=1)
        self.assertEqual(failed, 'jira: the token was refused (401): make a new one')
        self.assertEqual(made.submitted, [('count', 'atlassian.audit_records.errors', 1.0, [], '')])

    def test_a_result_decides_whatever_the_exit_status(self):
        for status in (0, 1, 2, 137):
            made, failed = self.run_with(OK, status=status)
            self.assertIsNone(failed)
            self.assertEqual(made.submitted, [])

    def test_an_answer_without_a_result_is_critical_whatever_the_exit_status(self):
        gauge = '{"type": "metric", "metric_type": "gauge", "name": "x", "value": 1}'
        for how in ({'status': 0}, {'status': 1}, {'status': 2}, {'killed': True}):
            made, failed = self.run_with(gauge, stderr='out of memory\nmore of it', **how)
            self.assertIn('ended with exit status %s before it gave a result: out of memory. Run `'
                          % (-1 if how.get('killed') else how['status']), failed)
            self.assertNotIn('more of it', failed)
            self.assertEqual(self.can_connect(made), [
                ('service_check', 'atlassian_audit_records.can_connect', CRITICAL,
                 ['site:example.atlassian.net', 'env:test'], '', failed)])
            self.assertEqual(made.submitted[0], ('gauge', 'x', 1.0, [], ''))

    def test_silence_is_critical(self):
        made, failed = self.run_with()
        self.assertIn('ended with exit status 0 before it gave a result. Run `', failed)
        self.assertEqual(len(self.can_connect(made)), 1)

    def test_a_result_cut_short_is_no_result(self):
        made, failed = self.run_with(raw=b'{"type": "result", "err')
        self.assertIn('before it gave a result', failed)
        self.assertEqual(len(self.can_connect(made)), 1)

    def test_bytes_that_are_no_text_are_critical(self):
        made, failed = self.run_with(raw=b'\xff\xfe\n' + OK.encode())
        self.assertIn("can't decode byte", failed)
        self.assertEqual(len(self.can_connect(made)), 1)

    def test_the_traceback_has_one_cause_only(self):
        made = check(self.program.path)
        self.program.answers('no result')
        self.assertNotIn('During handling', made.run())

    def test_service_checks_false_leaves_the_service_check_out_but_not_the_error(self):
        for made in (check(self.program.path, service_checks=False),
                     check(self.program.path, init_config={'service_checks': False})):
            made, failed = self.run_with(check=made)
            self.assertIn('before it gave a result', failed)
            self.assertEqual(made.submitted, [])

    def test_the_instance_overrules_init_config_on_service_checks(self):
        made, _ = self.run_with(check=check(self.program.path, init_config={'service_checks': False}, service_checks=True))
        self.assertEqual(len(self.can_connect(made)), 1)

    def test_the_tag_of_the_site_is_the_host_in_lower_case(self):
        for site, tags in (('Example.Atlassian.net', ['site:example.atlassian.net', 'env:test']),
                           ('https://user:pw@jira.example.com:8443/jira/', ['site:jira.example.com:8443', 'env:test']),
                           (None, ['env:test'])):
            made, _ = self.run_with(check=check(self.program.path, site=site))
            self.assertEqual(self.can_connect(made)[0][3], tags)


class Requests(Case):
    def test_the_request_is_what_the_contract_says(self):
        with agent(version='7.77.1', run_path='/opt/datadog-agent/run', logs_config__run_path='/data/logs', logs_enabled=True,
                   log_level='info', proxy={'http': 'http://p:3128', 'https': '', 'no_proxy': ['a', 'b']}, api_key='0' * 32):
            self.assertIsNone(self.run_with(OK)[1])
        self.assertEqual(self.program.seen['argv'], ['collect'])
        self.assertEqual(self.program.seen['stdin'], '')
        self.assertEqual(self.program.request, {
            'protocol': 1, 'check_id': 'atlassian_audit_records:0123456789abcdef', 'check_name': 'atlassian_audit_records',
            'init_config': {'program_path': str(self.program.path)},
            'instance': {'site': 'https://Example.atlassian.net/wiki', 'tags': ['env:test'],
                         'auth': {'type': 'api_token', 'email': 'audit@example.com', 'api_token': SECRET}},
            'agent': {'version': '7.77.1', 'hostname': 'web-1', 'run_path': '/opt/datadog-agent/run',
                      'logs_run_path': '/data/logs', 'logs_enabled': True, 'log_level': 'info',
                      'proxy': {'http': 'http://p:3128', 'https': '', 'no_proxy': ['a', 'b']}}})

    def test_what_the_agent_does_not_tell_is_left_out(self):
        with agent():
            self.assertIsNone(self.run_with(OK)[1])
        self.assertEqual(self.program.request['agent'], {'version': '7.77.0', 'hostname': 'web-1',
                                                         'proxy': {'http': '', 'https': '', 'no_proxy': []}})

    def test_logs_enabled_is_told_as_a_truth_value_even_where_an_environment_variable_set_it(self):
        for told, want in ((True, True), (False, False), ('true', True), ('False', False), (None, None), ('maybe', None)):
            with agent(logs_enabled=told):
                self.assertIsNone(self.run_with(OK)[1])
            self.assertIs(self.program.request['agent'].get('logs_enabled'), want)

    def test_a_date_and_any_letter_of_the_configuration_arrive(self):
        _, failed = self.run_with(OK, check=check(self.program.path, since=datetime.date(2026, 1, 2), tags=['équipe:\u6771']))
        self.assertIsNone(failed)
        self.assertEqual(self.program.request['instance']['since'], '2026-01-02')
        self.assertEqual(self.program.request['instance']['tags'], ['équipe:\u6771'])

    def test_only_the_environment_that_the_program_needs_is_passed_on(self):
        kept = {'PATH': os.environ['PATH'], 'SSL_CERT_FILE': '/etc/ca.pem', 'SSL_CERT_DIR': '/etc/ca', 'TMPDIR': self.folder,
                'HTTP_PROXY': 'http://p:1', 'https_proxy': 'http://p:2', 'NO_PROXY': 'localhost', 'HOME': '/root',
                'KUBERNETES_SERVICE_HOST': '10.0.0.1', 'KUBERNETES_SERVICE_PORT': '443'}
        dropped = {'DD_API_KEY': 'f' * 32, 'DD_APP_KEY': 'e' * 40, 'LD_PRELOAD': '', 'PYTHONPATH': '/x', 'GODEBUG': 'x=1',
                   'AWS_SECRET_ACCESS_KEY': 'k', 'TEMP': ''}
        with mock.patch.dict(os.environ, {**kept, **dropped}, clear=True):
            self.assertIsNone(self.run_with(OK)[1])
        env = self.program.seen['env']
        env.pop(adapter.REQUEST)
        self.assertEqual({k: v for k, v in env.items() if not k.startswith(('LC_', '__CF'))}, kept)

    def test_a_request_that_does_not_fit_is_refused_and_nothing_is_started(self):
        for windows, limit in ((False, 120), (True, 30)):
            with mock.patch.object(adapter, 'REQUEST_MAX_KIB', limit):
                made, failed = self.run_with(OK, check=check(self.program.path, tags=['x' * (limit << 10)]))
            self.assertEqual(failed, 'The configuration of this instance makes a request of %d KiB, and at most %d KiB can '
                                     'be handed to atlassian-audit-records: shorten it.' % (limit + 1, limit))
            self.assertEqual(self.can_connect(made)[0][2], CRITICAL)
            self.assertFalse(self.program.ran)

    def test_the_largest_request_that_is_allowed_does_fit(self):
        _, failed = self.run_with(OK, check=check(self.program.path, tags=['x' * ((120 << 10) - 800)]))
        self.assertIsNone(failed)

    def test_limits_are_those_of_the_platform(self):
        self.assertEqual(adapter.REQUEST_MAX_KIB, 30 if os.name == 'nt' else 120)


class Secrets(Case):
    def test_a_program_that_tells_a_secret_is_not_repeated(self):
        made, failed = self.run_with(
            json.dumps({'type': 'log', 'level': 'info', 'message': 'log ' + SECRET}),
            json.dumps({'type': 'warning', 'message': 'warning ' + SECRET}),
            json.dumps({'type': 'event', 'title': SECRET, 'text': SECRET}),
            json.dumps({'type': 'service_check', 'name': 'x', 'status': 0, 'message': SECRET}),
            json.dumps({'type': 'result', 'error': 'failed with ' + SECRET}), stderr='stderr ' + SECRET)
        self.assertEqual(failed, 'failed with ********')
        self.assertNotIn(SECRET, repr(made.submitted) + repr(made.get_warnings()) + self.log.text())
        self.assertIn('log ********', self.log.text())

    def test_standard_error_without_a_result_shows_no_secret(self):
        made, failed = self.run_with(stderr='panic: ' + SECRET, status=2)
        self.assertIn('panic: ********', failed)
        self.assertNotIn(SECRET, repr(made.submitted) + self.log.text())

    def test_every_kind_of_secret_is_known(self):
        for key in ('api_token', 'client_secret', 'personal_access_token', 'organization_api_key', 'password'):
            made = check(self.program.path, auth={'type': key, key: 'hunter2hunter2'})
            _, failed = self.run_with(json.dumps({'type': 'result', 'error': key + ' hunter2hunter2'}), check=made)
            self.assertEqual(failed, key + ' ********')

    def test_the_command_line_holds_no_secret(self):
        self.run_with(OK)
        self.assertNotIn(SECRET, ' '.join(self.program.seen['argv']))


class Programs(Case):
    def refused(self, path=None):
        made = check(path or self.program.path)
        self.program.answers(OK)
        failed = error(made.run())
        self.assertFalse(self.program.ran, 'the program ran all the same')
        self.assertEqual(len(self.can_connect(made)), 1)
        return failed

    def test_a_program_that_others_may_write_is_refused(self):
        for mode in (0o775, 0o757, 0o777, 0o722):
            self.program.path.chmod(mode)
            self.assertEqual(self.refused(), '%s was not started: others may write %s. Run `chmod go-w %s`.'
                             % ((self.program.path,) * 3))

    def test_a_program_in_a_folder_that_others_may_write_is_refused(self):
        os.chmod(self.folder, 0o707)
        self.assertEqual(self.refused(), '%s was not started: others may write %s. Run `chmod go-w %s`.'
                         % (self.program.path, self.folder, self.folder))

    def test_a_program_below_a_folder_that_others_may_write_is_refused(self):
        below = os.path.join(self.folder, 'a', 'b')
        os.makedirs(below, 0o755)
        program = Program(below)
        os.chmod(self.folder, 0o707)
        self.assertIn('others may write %s.' % self.folder, self.refused(program.path))
        self.assertFalse(program.ran)

    def test_in_a_sticky_folder_a_file_of_our_own_is_safe(self):
        os.chmod(self.folder, 0o1777)
        self.assertIsNone(self.run_with(OK)[1])

    def test_a_folder_that_the_group_may_write_is_refused_unless_the_group_is_roots(self):
        os.chmod(self.folder, 0o770)
        if os.geteuid() == 0:
            os.chown(self.folder, 0, 0)
            self.assertIsNone(self.run_with(OK)[1])
            os.unlink(self.program.folder / 'seen.json')
            os.chown(self.folder, 0, 65534)
        self.assertIn('others may write %s.' % self.folder, self.refused())

    def test_a_program_of_another_user_is_refused(self):
        if os.geteuid() == 0:
            os.chown(self.program.path, 65534, 0)
            self.assertEqual(self.refused(), '%s was not started: %s belongs to another user. Run `chown root %s`.'
                             % ((self.program.path,) * 3))
            return
        with mock.patch.object(adapter.os, 'geteuid', lambda: 65534), mock.patch.object(adapter, '__file__', '/'):
            self.assertIn('belongs to another user', self.refused())

    def test_a_link_is_followed_and_its_target_judged(self):
        with folder() as other:
            link = os.path.join(other, 'link')
            os.symlink(self.program.path, link)
            self.assertIsNone(self.run_with(OK, check=check(link))[1])
            os.unlink(self.program.folder / 'seen.json')
            self.program.path.chmod(0o777)
            self.assertIn('others may write %s.' % self.program.path, self.refused(link))

    def test_what_is_no_program_is_refused_with_the_place_to_put_it(self):
        missing, plain = os.path.join(self.folder, 'missing'), os.path.join(self.folder, 'plain')
        Path(plain).write_text('x', encoding='utf-8')
        for path in (missing, plain, self.folder, 'atlassian-audit-records', os.path.relpath(self.program.path)):
            self.assertEqual(self.refused(path), '%s is not a program that the Agent can run: install atlassian-audit-records in '
                             '/usr/local/bin, or set `program_path` in init_config to its absolute path.' % path)

    def test_a_program_that_cannot_be_started_is_critical(self):
        self.program.path.write_text('#!/nowhere/interpreter\n', encoding='utf-8')
        self.assertIn('ended with exit status 0 before it gave a result', self.refused())

    def test_without_program_path_it_is_found_beside_the_adapter_first_then_in_path(self):
        with folder() as elsewhere:
            there = Program(elsewhere)
            there.answers(OK)
            with mock.patch.object(adapter, 'FOLDERS', ['/usr/local/nowhere']), \
                    mock.patch.dict(os.environ, {'PATH': elsewhere}):
                self.assertIsNone(error(check().run()))
                self.assertTrue(there.ran)
                os.unlink(there.folder / 'seen.json')
                beside = os.path.join(self.folder, 'atlassian_audit_records.py')
                Path(beside).write_text('', encoding='utf-8')
                self.program.answers(OK)
                with mock.patch.object(adapter, '__file__', beside):
                    self.assertIsNone(error(check().run()))
                self.assertTrue(self.program.ran)
                self.assertFalse(there.ran)

    def test_when_it_is_nowhere_the_error_says_where_to_put_it(self):
        with mock.patch.object(adapter, 'FOLDERS', ['/usr/local/nowhere']), mock.patch.dict(os.environ, {'PATH': self.folder}), \
                mock.patch.object(adapter, '__file__', '/nowhere/adapter.py'):
            self.program.path.unlink()
            self.assertIn('install atlassian-audit-records in /usr/local/nowhere', error(check().run()))


class Agents(Case):
    def test_an_agent_before_7_77_is_told_that_wildcards_are_refused(self):
        for version in ('7.76.3', '7.50.0', '6.53.0', '7.76.0-rc.1'):
            with agent(version=version):
                made, failed = self.run_with(OK)
            self.assertIsNone(failed)
            self.assertEqual(len(made.get_warnings()), 1, version)

    def test_a_later_agent_hears_nothing(self):
        for version in ('7.77.0', '7.85.2', '8.0.0', '7.100.0-devel+git.1', 'unknown', ''):
            with agent(version=version):
                made, failed = self.run_with(OK)
            self.assertIsNone(failed)
            self.assertEqual(made.get_warnings(), [], version)

    def test_the_next_run_starts_afresh(self):
        made, failed = self.run_with('nothing')
        self.assertIsNotNone(failed)
        self.assertIsNone(self.run_with(OK, check=made)[1])

    def test_the_adapter_is_one_check_of_under_150_lines_without_subprocess(self):
        text = Path(adapter.__file__).read_text(encoding='utf-8')
        self.assertLess(len(text.splitlines()), 150)
        self.assertNotIn('import subprocess', text)
        self.assertEqual(text.count('(AgentCheck):'), 1)
        self.assertIs(adapter.datadog_agent, datadog_agent)


if __name__ == '__main__':
    unittest.main()
