"""Names given up for the field's own terms do not come back: identifiers in `src`, phrases in what users read.

Identifiers are found in the syntax tree, so that ordinary English in a comment (`now`, `done`) is not mistaken for one.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]
SOURCE = CHECKOUT / "src"

# Old name -> what it is called now. Not used at all in `src`: no variable, argument, attribute, class or function.
IDENTIFIERS = {
    "tell": "print_outcome",
    "tell_elsewhere": "print_waiting",
    "tell_stopped": "print_interrupted",
    "tell_what_would_be_done": "print_dry_run",
    "train_once": "train_if_unclaimed",
    "record_refusal": "record_build_failure",
    "request_key": "command_fingerprint",
    "Display": "SweepProgress",
    "NameWhatDiffers": "OmitCommonOverrides",
    "OnlySay": "DryRun",
    "PrintLeaderboard": "SweepSummary",
    "Training": "RunScheduler",
    "OnTheWay": "SweepExecution",
    "Dispatch": "Dispatcher",
    "Prepared": "BuiltRun",
    "Refused": "InvalidRun",
    "Ended": "RunResult",
    "Lost": "WorkerDied",
    "Known": "FinishedRun",
    "Shared": "WorkerContext",
    "Answer": "Reply, or what it holds",
    "_bury": "_reap, _requeue_or_fail or _mark_superseded",
    "refuse_bad": "raise_if_invalid",
    "_find_same": "_find_duplicates",
    "Seat": "WorkerActor",
    "work_through": "run_slurm_job",
    "Attempt": "RunSession",
    "_bad_end": "_classify_error",
    "settle": "resolve_settings",
    "given_keys": "overridden_keys",
    "_try_net": "_check_forward",
    "_wanted": "_arguments_from_data",
    "at_rest": "on_step_boundary",
    "Journal": "RunEventWriter",
    "Sight": "StepSample",
    "Positioned": "Resumable",
    "Claim": "Lease",
    "is_mine": "is_held",
    "TAKEN_OVER": "SUPERSEDED",
    "ENDED": "FINAL_STATUSES",
    "write_whole": "write_atomically",
    "alike_in": "constant_keys",
    "is_of_another": "belongs_to_other_arm",
    "why_not_lean": "fallback_reason",
    "_who_listens": "_overriding_hooks",
    "_now_in": "_set_current_hook",
    "MappedData": "DatasetDataModule",
    "ResidentData": "InMemoryDataModule",
    "InOrder": "SequentialBatches",
    "Way": "Implementation",
    "agrees": "matches_reference",
    "usual_metric": "resolve_metric",
    "Problem": "UnreadableRun",
    "_plain": "what it does: _to_hparam, to_json, _finite_or_none",
    "usual": "default",
    "policy": "tuning_note",
    "LOOK": "*_INTERVAL",
    "TICK": "*_INTERVAL",
    "WIDEST": "MAX_*",
}
CONSTANTS = {re.compile(r"_?(MOST|LARGEST)_\w+"): "MAX_*", re.compile(r"_?USUAL_\w+"): "DEFAULT_*"}
# Words of everyday English, or of other libraries: no class or function of ours has them, variables may.
DEFINITIONS = {
    "done": "finished_outcome",
    "stamps": "file_fingerprints",
    "unchanged": "is_unchanged",
    "look": "refresh",
    "answers": "replies",
    "here": "ready",
    "make": "train",
    "Summary": "MetricSummary",
    "Axes": "StepClock",
    "take": "acquire",
    "now": "utc_now",
    "adopt": "as_datamodule",
    "in_order": "sort_runs",
    "shown": "as_cell",
}
# (class, or folder of the package; name): not defined in there.
WITHIN = {
    ("Plan", "same"): "duplicate_of",
    ("Checkpoints", "trained"): "save_final",
    ("Checkpoints", "ended"): "clean_up",
    ("Checkpoints", "forget"): "delete_all",
    ("train", "_begin"): "_start",
    ("optim", "plan"): "dispatch",
}
MODULES = {
    "telling.py": "console.py",
    "once.py": "open_run.py",
    "display.py": "progress.py",
    "adopt.py": "as_datamodule.py",
    "foreign.py": "user_datamodule.py",
    "own.py": "npz.py",
    "_ways.py": "_dispatch.py",
    "_trial.py": "_verify.py",
    "_bounds.py": "_validation.py",
}
# Private metaphors: pattern -> the plain word. A whole word each, in any case, across a line's end too.
PHRASES = {
    r"(go|goes|going|went|gone) on": "resume, continue",
    r"(take|takes|taking|took|taken) up": "restore, resume",
    r"(let|lets|letting)( \w+){0,3} go": "shut down, release",
    r"(bury|buries|buried)": "reap, mark",
    r"(come|comes|came|bring|brings|brought)( \w+){0,5} to rest": "stop",
    r"done before": "already finished",
    r"not begun": "not started",
    r"log[=:]\s?usual": "log: default",
}
TELL = {r"(tell|tells|told|telling)": "print, say, report, distinguish"}
USERS_TEXTS = [CHECKOUT / "README.md", *sorted((CHECKOUT / "conf").rglob("*.yaml"))]
FILES = sorted(SOURCE.rglob("*.py"))


def relative(path: Path) -> str:
    return str(path.relative_to(CHECKOUT))


def used(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Every identifier in the tree, but for the package that a `from` names, with its line."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name) | ast.keyword(arg=str(name)):
                yield name, node.lineno
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name, node.lineno
            case ast.alias(name=name, asname=other):
                yield from ((part, node.lineno) for part in {name, other or name})


def defined(tree: ast.AST, inside: str) -> Iterator[tuple[str, str, int]]:
    """Where (`inside`, or the class), name and line of every class, function and field of a class."""
    for node in ast.iter_child_nodes(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield inside, name, node.lineno
            case ast.AnnAssign(target=ast.Name(id=name)) if isinstance(tree, ast.ClassDef):
                yield f"{inside} field", name, node.lineno
        yield from defined(node, node.name if isinstance(node, ast.ClassDef) else inside)


def old_identifiers(text: str, folder: str) -> Iterator[tuple[int, str, str]]:
    """Line, old name and better name of each old name in a file of the part `folder`."""
    tree = ast.parse(text)
    for name, line in used(tree):
        better = [IDENTIFIERS.get(name), *(new for old, new in CONSTANTS.items() if old.fullmatch(name))]
        yield from ((line, name, new) for new in better if new)
    for inside, name, line in defined(tree, folder):
        owner, _, field = inside.partition(" ")
        if not field and name in DEFINITIONS:
            yield line, f"def {name}", DEFINITIONS[name]
        for place in {(owner, name), (folder, name)} & WITHIN.keys():
            yield line, f"{place[0]}: {name}", WITHIN[place]


def old_phrases(text: str, phrases: dict[str, str]) -> Iterator[tuple[int, str, str]]:
    """Line, old phrase and better phrase; a blank in a phrase stands for any blanks, and for a comment's next line."""
    for phrase, better in phrases.items():
        pattern = rf"\b{phrase}\b".replace(" ", r"[\s#]+")
        for found in re.finditer(pattern, text, re.IGNORECASE):
            yield text.count("\n", 0, found.start()) + 1, " ".join(found.group().replace("#", "").split()), better


def listed(found: list[tuple[int, str, str]], path: Path) -> str:
    return "".join(f"\n  {relative(path)}:{line}: {old} -> {better}" for line, old, better in sorted(set(found)))


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_code_uses_the_fields_names(path):
    text = path.read_text(encoding="utf-8")
    found = [*old_identifiers(text, path.parent.name), *old_phrases(text, PHRASES)]
    if path.name in MODULES:
        found.append((1, path.name, MODULES[path.name]))
    assert not found, listed(found, path)


@pytest.mark.parametrize("path", USERS_TEXTS, ids=relative)
def test_texts_for_users_have_no_private_metaphors(path):
    text = path.read_text(encoding="utf-8")
    distinctive = {name: new for name, new in IDENTIFIERS.items() if re.search(r"._.|[a-z][A-Z]", name)}
    found = [*old_phrases(text, PHRASES | TELL), *old_words(text, distinctive)]
    assert not found, listed(found, path)


def old_words(text: str, names: dict[str, str]) -> Iterator[tuple[int, str, str]]:
    """As `old_phrases`; upper and lower case count."""
    for number, line in enumerate(text.splitlines(), start=1):
        yield from ((number, name, names[name]) for name in sorted(set(re.findall(r"\w+", line)) & names.keys()))


CODE = '''
from pack.summary_pb2 import Summary          # another library's
from bakeoff.runs import write_whole
MOST_RUNS = 60
done = datetime.now(UTC)                      # now it is done; the same, usual plan

class Plan:
    same: int
    other: int

    def look(self, ended, /): ...

def _begin(): ...
def f(is_mine=None): return g(policy=1).Journal

"""The sweep goes
on."""
'''


def test_what_is_found_in_code():
    found = {old for _, old, _ in [*old_identifiers(CODE, "train"), *old_phrases(CODE, PHRASES)]}
    assert found == {
        *{"write_whole", "MOST_RUNS", "is_mine", "policy", "Journal"},
        *{"Plan: same", "def look", "train: _begin", "goes on"},
    }
    assert "launch: _begin" not in {old for _, old, _ in old_identifiers(CODE, "launch")}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("it goes on from there", ["goes on"]),
        ("a comment that takes\n    # up the story", ["takes up"]),
        ("Lets the workers go.", ["Lets the workers go"]),
        ("bring the runs on other nodes to rest", ["bring the runs on other nodes to rest"]),
        ("log=usual and log: usual", ["log=usual", "log: usual"]),
        ("upon, let us see; go only; the usual forgone one", []),
    ],
)
def test_what_is_found_in_english(text, found):
    assert [old for _, old, _ in old_phrases(text, PHRASES)] == found
