"""A collector as nobody should write one: see comparison_test.go."""

import base64
import json
import os
import urllib.request
from datetime import datetime, timedelta, timezone

state, out = os.environ["JIRA_STATE_FILE"], os.environ["JIRA_OUTPUT_FILE"]
now = datetime.now(timezone.utc)
since = now - timedelta(hours=1)
if os.path.exists(state):
    with open(state, encoding="ascii") as f:
        since = datetime.fromisoformat(f.read())
with open(state, "w", encoding="ascii") as f:
    f.write(now.isoformat())

credential = base64.b64encode(f"{os.environ['JIRA_USERNAME']}:{os.environ['JIRA_API_TOKEN']}".encode()).decode()
offset = 0
while True:
    url = f"{os.environ['JIRA_AUDIT_PATH']}?offset={offset}&limit=1000&from={(since + timedelta(milliseconds=1)).strftime('%Y-%m-%dT%H:%M:%S.%f')[:-3]}Z"
    request = urllib.request.Request(url, headers={"Authorization": "Basic " + credential})
    with urllib.request.urlopen(request) as answer:
        records = json.load(answer)["records"]
    if not records:
        break
    with open(out, "a", encoding="utf-8") as f:
        for record in records:
            f.write(json.dumps(record) + "\n")
    offset += len(records)
