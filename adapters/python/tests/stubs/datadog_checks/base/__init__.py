"""Stands in for the parts of datadog_checks.base that the adapter uses.

It behaves as the Agent's own does where that matters here: names and statuses are handed on as they come, a value
must be a number, strings must not hold a NUL (they become C strings), events take an allow-list of keys, `run`
answers an empty string or a JSON list of one error with its traceback. What was submitted is kept in order.
"""
import copy
import json
import logging
import traceback

from .errors import ConfigurationError

__all__ = ['AgentCheck', 'ConfigurationError']

EVENT_KEYS = {'timestamp', 'event_type', 'api_key', 'msg_title', 'msg_text', 'aggregation_key', 'alert_type',
              'source_type_name', 'host', 'tags', 'priority'}


class AgentCheck:
    OK, WARNING, CRITICAL, UNKNOWN = 0, 1, 2, 3

    def __init__(self, name='', init_config=None, instances=None):
        self.name, self.init_config, self.instances = name, init_config, instances
        self.instance = instances[0]
        self.check_id = ''
        self.hostname = 'web-1'
        self.warnings = []
        self.log = logging.getLogger('datadog_checks.base.checks.base.' + name)
        self.submitted = []  # in order: ('service_check', name, status, tags, hostname, message), ('gauge', …), ('event', {…})

    def gauge(self, name, value, tags=None, hostname=None, device_name=None, raw=False):
        self._metric('gauge', name, value, tags, hostname)

    def rate(self, name, value, tags=None, hostname=None, device_name=None, raw=False):
        self._metric('rate', name, value, tags, hostname)

    def count(self, name, value, tags=None, hostname=None, device_name=None, raw=False):
        self._metric('count', name, value, tags, hostname)

    def monotonic_count(self, name, value, tags=None, hostname=None, device_name=None, raw=False, flush_first_value=False):
        self._metric('monotonic_count', name, value, tags, hostname)

    def histogram(self, name, value, tags=None, hostname=None, device_name=None, raw=False):
        self._metric('histogram', name, value, tags, hostname)

    def _metric(self, kind, name, value, tags, hostname):
        self.submitted.append((kind, _c(name), float(value), [_c(t) for t in tags or []], _c(hostname or '')))

    def service_check(self, name, status, tags=None, hostname=None, message=None, raw=False):
        if not isinstance(status, int):
            raise TypeError('an integer is required')
        tags = [_c(t) for t in tags or []]
        self.submitted.append(('service_check', _c(name), status, tags, _c(hostname or ''), _c(message or '')))

    def event(self, event):
        unknown = set(event) - EVENT_KEYS
        if unknown:
            raise KeyError('no key of an event: %s' % sorted(unknown))
        self.submitted.append(('event', dict(event)))

    def warning(self, warning_message, *args, **kwargs):
        warning_message = warning_message % args if args else warning_message
        self.log.warning('%s', warning_message)
        self.warnings.append(warning_message)

    def get_warnings(self):
        warnings, self.warnings = self.warnings, []
        return warnings

    def run(self):
        try:
            self.check(copy.deepcopy(self.instances[0]))
        except Exception as e:
            return json.dumps([{'message': str(e), 'traceback': traceback.format_exc()}])
        return ''


def _c(text):
    """The text as the Agent's runtime takes it: a string without a NUL."""
    if not isinstance(text, str):
        raise TypeError('expected str, got %s' % type(text).__name__)
    if '\0' in text:
        raise ValueError('embedded null character')
    return text
