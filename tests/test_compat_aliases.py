"""Changing the import lines, or aliasing the modules, moves a trainer."""

import importlib
import subprocess
import sys

import pytest

NAMES = {
    "task_tracker": [
        "TaskTracker",
        "LocalTaskTracker",
        "CentralizedTaskTracker",
        "create_task_tracker",
    ],
    "shared_memory_backend": [
        "TaskMemoryBackend",
        "LocalMemoryBackend",
        "SharedMemoryBackend",
        "create_memory_backend",
    ],
    "memory_backend": [
        "TaskMemoryBackend",
        "LocalMemoryBackend",
        "SharedMemoryBackend",
        "create_memory_backend",
    ],
    "lp_scorers": ["BidirectionalLPScorer", "BasicLPScorer"],
    "learning_progress_algorithm": ["LearningProgressAlgorithm", "LearningProgressConfig"],
    "curriculum_base": ["CurriculumTask", "CurriculumAlgorithm"],
    "curriculum": ["Curriculum", "CurriculumConfig", "CurriculumTask"],
    "curriculum_env": ["CurriculumEnv"],
    "task_generator": [
        "SingleTaskGenerator",
        "BucketedTaskGenerator",
        "TaskGeneratorSet",
        "Span",
    ],
    "stats": [],
}
TRAINER = """
import importlib
import sys
import types

package = sys.modules["earlier"] = types.ModuleType("earlier")
for name in NAMES:
    module = importlib.import_module(f"curricle.compat.{name}")
    sys.modules[f"{package.__name__}.{name}"] = module
    setattr(package, name, module)

from earlier.task_tracker import TaskTracker
from earlier.shared_memory_backend import LocalMemoryBackend
from earlier.curriculum import Curriculum, CurriculumConfig
import earlier.lp_scorers, earlier.stats
assert earlier.lp_scorers.BasicLPScorer

tracker = TaskTracker(backend=LocalMemoryBackend(max_tasks=10))
tracker.update_task_performance(3, 0.5)
assert tracker.get_task_stats(3)["mean_score"] == 0.5
"""
UNTOUCHED = """
import curricle
import sys

sys.exit(any(name.startswith("curricle.compat") for name in sys.modules))
"""


@pytest.mark.parametrize("module", NAMES)
def test_a_module_has_its_names(module):
    found = importlib.import_module(f"curricle.compat.{module}")
    compat = importlib.import_module("curricle.compat")
    for name in NAMES[module]:
        assert getattr(found, name) is getattr(compat, name)


@pytest.mark.parametrize("script", [TRAINER, UNTOUCHED], ids=["aliased", "not imported by itself"])
def test_in_a_fresh_process(script):
    script = f"NAMES = {list(NAMES)}\n{script}"
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
