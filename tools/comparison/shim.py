"""What stands around the collectors of others when they are compared.

Runs a script that the reader has fetched, unchanged, in a process whose clock
is the one of the comparison, and stands in for what such a script finds around
it where it is at home: the Functions host, the file share and Log Analytics for
Microsoft Sentinel, the modular input's helper for Splunk, nothing for Wazuh.
What the script hands on is appended to delivered.jsonl, one record a line.

    shim.py sentinel|splunk|wazuh

It reads the time of each run from standard input, in milliseconds a line. What
stays between runs at home (sentinel) is one process. What is a process for each
run is forked for each, with what it imports loaded already, so that a day takes
minutes: the child's number is told in a line, and in the next one the CPU time
that a process of its own would have used, the start included. Everything else is told by variables of the environment, whose names begin with
COMPARISON_. Exit status 78: the script cannot run here.
"""

import ast
import base64
import datetime
import importlib
import importlib.util
import json
import os
import runpy
import sys
import time
import traceback
import types
import urllib.parse

UNFIT = 78
FOLDER = os.environ["COMPARISON_FOLDER"]
ORIGIN = os.environ["COMPARISON_ORIGIN"]
PRODUCT = os.environ["COMPARISON_PRODUCT"]
SCRIPT = os.environ["COMPARISON_SCRIPT"]
EMAIL = os.environ["COMPARISON_EMAIL"]
TOKEN = os.environ["COMPARISON_TOKEN"]

REAL_DATETIME = datetime.datetime
REAL_TIME = time.time


class Clock:
    """The comparison's clock: set to a moment, it goes on from there."""

    def __init__(self, milliseconds):
        self.set(milliseconds)

    def set(self, milliseconds):
        self.base, self.started = milliseconds / 1000, time.monotonic()

    def now(self):
        return self.base + time.monotonic() - self.started


clock = Clock(int(os.environ["COMPARISON_NOW"]))


class Datetime(REAL_DATETIME):
    """datetime.datetime with the comparison's clock."""

    @classmethod
    def now(cls, tz=None):
        return cls.fromtimestamp(clock.now(), tz)

    @classmethod
    def utcnow(cls):
        return cls.fromtimestamp(clock.now(), datetime.timezone.utc).replace(tzinfo=None)

    @classmethod
    def today(cls):
        return cls.now()


def deliver(records):
    with open(os.path.join(FOLDER, "delivered.jsonl"), "a", encoding="utf-8") as f:
        for record in records:
            f.write((record if isinstance(record, str) else json.dumps(record)) + "\n")


def kept(name):
    """The text of a file of the collector's, or None."""
    try:
        with open(os.path.join(FOLDER, name), encoding="utf-8") as f:
            return f.read()
    except FileNotFoundError:
        return None


def keep(name, text):
    """Replaces a file at once, so that a kill leaves the old one or the new one."""
    path = os.path.join(FOLDER, name)
    with open(path + ".new", "w", encoding="utf-8") as f:
        f.write(text)
    os.replace(path + ".new", path)


def tell_peak():
    """Writes down the most memory that this process had, in bytes."""
    try:
        with open("/proc/self/status", encoding="ascii") as f:
            peak = next(line for line in f if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        return
    with open(os.environ["COMPARISON_USAGE"], "a", encoding="ascii") as f:
        f.write(f"{int(peak.split()[1]) * 1024}\n")


def unfit(reason):
    print(reason, file=sys.stderr)
    sys.exit(UNFIT)


def preload():
    """Imports what the script will, and returns the CPU time it took."""
    with open(SCRIPT, encoding="utf-8") as f:
        tree = ast.parse(f.read())
    began = time.process_time()
    for node in tree.body:
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [node.module]
        for name in names:
            try:
                importlib.import_module(name)
            except ImportError:
                if name.split(".")[0] != "azure":  # for which something stands in
                    unfit(f"{SCRIPT} needs the Python package {name}: pip install {name}")
    return time.process_time() - began


def sentinel():
    """An app of Azure Functions: the worker stays, and is called by its timer."""
    requests = sys.modules["requests"]
    send = requests.adapters.HTTPAdapter.send

    def redirected(self, request, **options):
        url = urllib.parse.urlsplit(request.url)
        if url.hostname.endswith(".ods.opinsights.azure.com"):  # Log Analytics takes everything
            body = request.body
            deliver(json.loads(body if isinstance(body, str) else body.decode("utf-8")))
            response = requests.Response()
            response.status_code, response.request, response.url = 200, request, request.url
            return response
        if url.hostname != "comparison.atlassian.net":
            raise requests.ConnectionError(f"the comparison knows no host {url.hostname}")
        request.url = ORIGIN + urllib.parse.urlunsplit(("", "", url.path, url.query, ""))
        return send(self, request, **options)

    requests.adapters.HTTPAdapter.send = redirected

    functions = types.ModuleType("azure.functions")
    functions.TimerRequest = type("TimerRequest", (), {"past_due": False})
    azure = types.ModuleType("azure")
    azure.functions = functions
    sys.modules.update({"azure": azure, "azure.functions": functions})

    class StateManager:
        """The marker in the file share."""

        def __init__(self, connection_string, **_):
            del connection_string

        def post(self, marker_text):
            keep("state", marker_text)

        def get(self):
            return kept("state")

    manager = types.ModuleType("connector.state_manager")
    manager.StateManager = StateManager
    name = PRODUCT.capitalize()
    os.environ.update({
        "WorkspaceID": "workspace", "WorkspaceKey": base64.b64encode(b"comparison").decode(), "AzureWebJobsStorage": "comparison",
        name + "AccessToken": TOKEN, name + "Username": EMAIL, name + "HomeSiteName": "comparison",
    })
    spec = importlib.util.spec_from_file_location("connector", SCRIPT, submodule_search_locations=[])
    connector = importlib.util.module_from_spec(spec)
    sys.modules.update({"connector": connector, "connector.state_manager": manager})
    spec.loader.exec_module(connector)

    for line in sys.stdin:
        clock.set(int(line))
        try:
            connector.main(functions.TimerRequest())
        except Exception:  # the host writes it down and calls again
            traceback.print_exc()
        answer.write("0\n")


def splunk():
    """A modular input: a process for each run, which is handed a helper."""
    class Helper:
        """What the add-on builder hands to collect_events."""

        arguments = {"base_url": ORIGIN, "username": EMAIL, "from": os.environ["COMPARISON_BEGIN"]}

        def get_arg(self, name):
            return self.arguments[name]

        def get_global_setting(self, name):
            return {"api_token": TOKEN}[name]

        def get_input_stanza_names(self):
            return "comparison"

        def get_sourcetype(self):
            return "jira:audit:log"

        def get_check_point(self, key):
            text = kept("checkpoint-" + key)
            return None if text is None else json.loads(text)

        def save_check_point(self, key, value):
            keep("checkpoint-" + key, json.dumps(value))

        def log_debug(self, message):
            pass

        def new_event(self, data, **_):
            return data

    class Writer:
        """Splunk's end of the pipe."""

        def write_event(self, event):
            deliver([event])

    module = runpy.run_path(SCRIPT, run_name="input_module")
    module["collect_events"](Helper(), Writer())


def wazuh():
    """A command of the wodle: a process for each run."""
    name = PRODUCT.upper()
    path = {"jira": "/rest/api/3/auditing/record", "confluence": "/wiki/rest/api/audit"}[PRODUCT]
    os.environ.update({
        name + "_ENV_FILE": os.path.join(FOLDER, "none"), name + "_BASE_URL": "https://comparison.atlassian.net",
        name + "_AUDIT_PATH": ORIGIN + path, name + "_AUTH_MODE": "auto", name + "_USERNAME": EMAIL, name + "_API_TOKEN": TOKEN,
        name + "_STATE_FILE": os.path.join(FOLDER, "state.json"), name + "_OUTPUT_FILE": os.path.join(FOLDER, "delivered.jsonl"),
    })
    if PRODUCT == "confluence":
        os.environ["CONFLUENCE_DATE_FORMAT"] = "epoch_ms"  # as its example configuration has it
    runpy.run_path(SCRIPT, run_name="__main__")


def attempt(work):
    """Does the work, and returns the exit status that it would have had."""
    try:
        work()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except Exception:
        traceback.print_exc()
        return 1
    return 0


def forked(work, start):
    """Does the work in a child for each line of standard input."""
    if not hasattr(os, "fork"):
        unfit("this system cannot fork")
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            clock.set(int(line))
            status = attempt(work)
            tell_peak()
            os._exit(status)
        answer.write(f"{child}\n")
        _, _, used = os.wait4(child, 0)
        answer.write(f"{start + used.ru_utime + used.ru_stime:.6f}\n")


def main():
    global answer
    start = time.process_time()  # Python's own, and what is imported above
    # What the script prints must not be taken for an answer.
    answer = os.fdopen(os.dup(1), "w", buffering=1, encoding="ascii")
    os.dup2(2, 1)
    start += preload()
    datetime.datetime = Datetime
    time.time = clock.now
    time.sleep = lambda seconds: None  # a pause between two pages is nobody's measure
    kind = sys.argv[1]
    if kind == "sentinel":
        status = attempt(sentinel)
        tell_peak()
        sys.exit(status)
    forked({"splunk": splunk, "wazuh": wazuh}[kind], start)


answer = None

if __name__ == "__main__":
    main()
