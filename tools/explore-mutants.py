#!/usr/bin/env python3
"""Plants known bugs, one at a time, and tells how long the explorer takes to find each.

    tools/explore-mutants.py [NAME...]

The tree stays as it is: each bug is in a copy of one file, which go build overlays.
One that is not found in WORLDS worlds (default 600) makes the status 1.
"""
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent

# name: (file, what stands there once, what stands there instead)
MUTANTS = {
    "lines are not synced": (
        "pkg/spool/write.go", "if err := f.Sync(); err != nil {\n\t\tf.Close()",
        "if err := error(nil); err != nil {\n\t\tf.Close()"),
    "the folder of a new file is not synced": (
        "pkg/spool/write.go", "if offset > 0 {\n\t\treturn nil\n\t}", "if offset >= 0 {\n\t\treturn nil\n\t}"),
    "what a failed sync dropped is taken for written": (
        "pkg/spool/write.go", "return false, rest, d.put(path, offset, b.Lines, false, whole...)",
        "f, err := d.fs.Open(path)\n\tif err != nil {\n\t\treturn false, nil, err\n\t}\n\treturn false, rest, d.finish(f, path, offset)"),
    "the coverage is committed before its lines": (
        "pkg/collect/walk.go", "\tnext = complete(next, audit.Interval{From: from, To: upper}, low, !end)\n",
        "\tnext = complete(next, audit.Interval{From: from, To: upper}, low, !end)\n"
        "\tif err := w.c.commit(next); err != nil {\n\t\treturn err\n\t}\n"),
    "the lines are written before they are committed": (
        "pkg/collect/commit.go", "\tif err := c.state.Commit(change); err != nil {",
        "\tif change.Batch != nil {\n\t\tif err := c.spool.Write(change.Batch.Place, b.lines); err != nil {\n\t\t\treturn err\n\t\t}\n"
        "\t\tdefer func() { b.lines = nil }()\n\t}\n\tif err := c.state.Commit(change); err != nil || change.Batch != nil {"),
    "the batch is not completed by the next run": (
        "pkg/collect/collector.go", "_, rest, err := spool.Recover(b)", "rest, err := []byte(nil), error(nil)\n\t_ = b"),
    "a torn batch is written anew as a whole": (
        "pkg/spool/write.go", "\t\tif ended && same {", "\t\tif ended && same && len(disk) >= len(lines) {"),
    "records are forgotten as soon as a reconcile is over": (
        "pkg/collect/collector.go", "p.ReconcileUpper-c.o.ReconcileWindow.Milliseconds())", "p.ReconcileUpper)"),
    "the reconcile reads nothing that is older": (
        "pkg/collect/run.go", "p.ReconcileUpper-c.o.ReconcileWindow.Milliseconds())", "p.ReconcileUpper)"),
    "a short page ends a gap": (
        "pkg/collect/walk.go", "\tcase leaves && bottom:", "\tcase leaves && (bottom || !v.full):"),
    "a page covers the millisecond that it ends in": (
        "pkg/collect/walk.go", "\tif !end {\n\t\tfrom = low + 1\n\t}\n", ""),
    "a file that is partly delivered is taken for delivered": (
        "pkg/spool/tracker.go", "return e.size > 0 && n.Acked == e.size &&", "return e.size > 0 && n.Acked > 0 &&"),
    "the file being written is brought away": (
        "pkg/spool/tracker.go", "if e.name == current || !done && !hopeless {", "if !done && !hopeless {"),
    "what is spooled again is not synced": (
        "pkg/spool/late.go", "if syncErr := d.f.Sync(); syncErr != nil {", "if syncErr := error(nil); syncErr != nil {"),
    "a file is removed before its rest is spooled again": (
        "pkg/spool/late.go", "\terr = t.eachLine(e, from, func(line []byte) error {", "\t_ = t.fs.Remove(e.path)\n\terr = t.eachLine(e, from, func(line []byte) error {"),
    "a run forgets what a history still needs": (
        "pkg/collect/commit.go", "next.Forgotten, b.forget, b.keep = f, f, kept(next)", "next.Forgotten, b.forget = f, f"),
    "a part of a history is covered and not read": (
        "pkg/collect/history.go", "\tif !c.p.FloorSet {\n\t\tif err := c.firstFloor(); err != nil {\n\t\t\treturn err\n\t\t}\n\t}\n\tnext := c.p\n",
        "\tif !c.p.FloorSet {\n\t\tif err := c.firstFloor(); err != nil {\n\t\t\treturn err\n\t\t}\n\t}\n\tnext := c.p\n"
        "\tnext.Covered = next.Covered.Add(audit.Interval{From: next.Floor - day, To: next.Floor})\n"),
    "a replay puts back what is not delivered": (
        "pkg/spool/replay.go", "\t\t\tend = n.Acked\n", "\t\t\tend = e.size\n"),
    "a replay counts what it only began": (
        "pkg/spool/replay.go", "if x.Done = x.Done || there[x.Into]; x.Done {", "if x.Done = x.Done || there[x.Into] || true; x.Done {"),
    "a replay puts back what is a copy": (
        "pkg/spool/replay.go", "if n.Copy || slices.ContainsFunc(", "if false && slices.ContainsFunc("),
    "a record that is too long is not kept whole": (
        "pkg/collect/commit.go", "\t\t\tb.long = append(b.long, f)\n", ""),
    "another product's file is taken for one's own": (
        "pkg/spool/tracker.go", "case owner == t.o.Owner:", "case owner != (Owner{}):"),
    "an answer of status 500 is an empty list": (
        "pkg/collect/page.go", "\t\tif err != nil {\n\t\t\treturn view{}, err\n\t\t}\n\t\tc.learn(p)",
        "\t\tif err != nil && ctx.Err() != nil {\n\t\t\treturn view{}, err\n\t\t}\n\t\tc.learn(p)"),
    "what is staged is published with what was never committed": (
        "pkg/spool/stage.go", "if there && file != d.staging {", "if false {"),
    "what is staged is committed and not synced": (
        "pkg/spool/stage.go", "if err := d.finish(f, path, place.Offset); err != nil {", "if err := f.Close(); err != nil {"),
    "another file is staged before the last one has its name": (
        "pkg/collect/commit.go", "if c.staged && place.File != c.file.File {", "if false {"),
}


def try_one(name, worlds, work):
    file, old, new = MUTANTS[name]
    path = ROOT / file
    text = path.read_text()
    if text.count(old) != 1:
        return f"{file} has changed: {text.count(old)} places for the bug", None
    bad = pathlib.Path(work) / "mutant.go"
    bad.write_text(text.replace(old, new))
    overlay = pathlib.Path(work) / "overlay.json"
    overlay.write_text(json.dumps({"Replace": {str(path): str(bad)}}))
    done = subprocess.run(
        ["go", "test", "-overlay", str(overlay), "-count=1", "-timeout=0", "-v", "-run", "^TestExplore$", "./internal/explore",
         "-explore.worlds", str(worlds)], cwd=ROOT, capture_output=True, text=True)
    out = done.stdout + done.stderr
    seed = re.search(r"make explore (SEED=\d+)\n\s*(.*)", out)
    life = re.search(r"(\d+) worlds from seed \d+ on, (\d+) operations", out)
    if seed and life:
        return None, (life[1], life[2], seed[1], seed[2][:110])
    return "found nothing" if done.returncode == 0 else out[-1500:], None


def main():
    worlds = int(os.environ.get("WORLDS", "600"))
    names = sys.argv[1:] or list(MUTANTS)
    missed = 0
    print("| bug | worlds | operations | seed | what is told |\n| --- | --- | --- | --- | --- |")
    for name in names:
        with tempfile.TemporaryDirectory() as work:
            why, found = try_one(name, worlds, work)
        if found:
            print("| " + " | ".join((name, *found)) + " |", flush=True)
        else:
            missed += 1
            print(f"| {name} | {worlds} | – | – | MISSED: {why} |", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
