#!/usr/bin/env bash
# Makes docs/preview.png: the page of `preview` over made-up records, as a
# headless Chromium shows it. Needs the built program and chromium.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

bin/atlassian-audit-records preview --output "$work/page.html"
chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --no-first-run --user-data-dir="$work/profile" \
	--window-size=1280,1850 --virtual-time-budget=5000 --screenshot="$work/page.png" "file://$work/page.html" 2>"$work/log" || {
	cat "$work/log" >&2
	exit 1
}
cp "$work/page.png" docs/preview.png
