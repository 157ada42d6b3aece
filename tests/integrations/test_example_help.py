"""``--help`` of every example says what it does and what its options are, and trains nothing."""

import json
import re
from importlib.util import find_spec

import pytest

from example_runs import ROOT, run_python

NEEDS = {
    "cleanrl_ppo": "torch",
    "level_replay_by_value_loss": "torch",
    "many_machines": "torch",
    "rllib_ppo": "ray",
    "sb3_ppo": "stable_baselines3",
    "supersuit_ppo": "supersuit",
    "torchrl_ppo": "torchrl",
    "trl_grpo": "trl",
}
# In one process: what takes long is to import the packages.
ASK = """
import contextlib, io, json, runpy, sys
shown = {}
for path in sys.argv[1:]:
    sys.argv = [path, "--help"]
    with contextlib.redirect_stdout(io.StringIO()) as out:
        try:
            runpy.run_path(path, run_name="__main__")
        except SystemExit as ended:
            shown[path] = [ended.code, out.getvalue()]
print(json.dumps(shown))
"""


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """What each example shows and how it ends, and the folder where they ran."""
    folder = tmp_path_factory.mktemp("examples")
    paths = [ROOT / "examples" / f"{name}.py" for name, of in NEEDS.items() if find_spec(of)]
    answers = json.loads(run_python("-c", ASK, *paths, folder=folder).splitlines()[-1])
    assert list(folder.iterdir()) == []
    return answers


def test_every_example_but_that_with_options_of_pufferlib_is_asked():
    examples = {path.stem for path in (ROOT / "examples").glob("*.py")}
    assert examples - NEEDS.keys() == {"pufferlib_ppo"}


@pytest.mark.parametrize("example", NEEDS)
def test_help_describes_the_example_and_each_option_with_its_default(example, shown):
    if find_spec(NEEDS[example]) is None:
        pytest.skip(f"the example needs {NEEDS[example]}")
    path = ROOT / "examples" / f"{example}.py"
    code, text = shown[str(path)]
    assert code == 0
    about = path.read_text().split('"""')[1].splitlines()[0]
    assert about in " ".join(text.split())
    listed = text.split("options:")[1]
    options = re.findall(r"^  --(\w+)(.*?)(?=^  -|\Z)", listed, re.MULTILINE | re.DOTALL)
    assert len(options) == listed.count("\n  --")
    for name, described in options:
        assert re.search(r"[a-z]{2,} .*\(default: ", described, re.DOTALL), name
