"""The configuration of earlier trainers: every field that they name, with its default."""

import copy
import inspect
import pickle

import pytest
from pydantic import ValidationError

from curricle import LearningProgressConfig
from curricle.compat import learning_progress_algorithm as drop_in

DEFAULTS = {
    "use_bidirectional": True,
    "use_baseline_normalization": True,
    "ema_timescale": 0.1,
    "slow_timescale_factor": 0.2,
    "exploration_bonus": 0.1,
    "progress_smoothing": 0.0,
    "performance_bonus_weight": 0.0,
    "lp_score_temperature": 0.0,
    "z_score_amplification": 10.0,
    "early_progress_amplification": 0.5,
    "num_active_tasks": 1000,
    "rand_task_rate": 0.01,
    "sample_threshold": 10,
    "memory": 25,
    "eviction_threshold_percentile": 0.4,
    "max_inactive_labels_retained": 100,
    "basic_ema_initial_alpha": 0.3,
    "basic_ema_alpha_decay": 0.2,
    "exploration_blend_factor": 0.5,
    "min_samples_for_lp": 10,
    "task_tracker_ema_alpha": 0.02,
    "task_default_success_threshold": 0.5,
    "task_default_generator_type": 0.0,
    "max_memory_tasks": 1000,
    "max_slice_axes": 3,
    "enable_detailed_slice_logging": False,
    "completion_history_size": 1000,
    "use_shared_memory": True,
    "performance_mode": False,
    "show_curriculum_troubleshooting_logging": False,
    "perf_invalidation_batch_size": 100,
    "perf_cache_task_list": True,
    "perf_log_metrics": False,
    "initial_weights": None,
}
FIRST_GENERATION = {
    "ema_timescale": 0.001,
    "progress_smoothing": 0.05,
    "rand_task_rate": 0.25,
    "task_tracker_ema_alpha": 0.1,
}


@pytest.mark.parametrize("name", DEFAULTS)
def test_a_default(name):
    value = getattr(LearningProgressConfig(), name)
    assert value == DEFAULTS[name]
    assert type(value) is type(DEFAULTS[name])


def test_a_size_of_records_may_be_named():
    with pytest.warns(DeprecationWarning, match="task_struct_size"):
        LearningProgressConfig(task_struct_size=18)


def test_fields_may_be_assigned_to():
    config = drop_in.LearningProgressConfig(use_shared_memory=True)
    config.num_active_tasks = 5000
    assert config.max_memory_tasks == 5000
    config.use_shared_memory = False
    assert config.session_id is None
    config.use_shared_memory = True
    assert config.session_id
    for name, value in (("rand_task_rate", 1.5), ("num_active_tasks", "many"), ("nothing", 1)):
        with pytest.raises(ValidationError, match=name):
            setattr(config, name, value)
    assert (config.rand_task_rate, config.num_active_tasks) == (0.01, 5000)


def test_a_given_session_contradicts_private_memory():
    config = drop_in.LearningProgressConfig(session_id="named")
    with pytest.raises(ValidationError, match="session_id='named' contradicts"):
        config.use_shared_memory = False


def test_a_range_may_be_a_list():
    assert LearningProgressConfig(score_range=[0.0, 2.0]).score_range == (0.0, 2.0)


def test_copies_share_the_session():
    config = LearningProgressConfig()
    assert config.session_id
    assert LearningProgressConfig().session_id != config.session_id
    for other in (copy.deepcopy(config), pickle.loads(pickle.dumps(config)), config.model_copy()):
        assert other.session_id == config.session_id


@pytest.mark.parametrize("preset", ["default", "stable", "fast_learning", "arena_legacy"])
def test_presets(preset):
    make = getattr(LearningProgressConfig, preset)
    assert make().num_active_tasks == 256
    assert make(64).num_active_tasks == make(num_active_tasks=64).num_active_tasks == 64
    assert make(exploration_bonus=0.3).exploration_bonus == 0.3
    assert list(inspect.signature(make).parameters) == ["num_active_tasks", "overrides"]


@pytest.mark.parametrize("name", FIRST_GENERATION)
def test_the_constants_of_the_first_generation(name):
    assert getattr(LearningProgressConfig.arena_legacy(), name) == FIRST_GENERATION[name]


def test_every_field_acts_or_says_that_it_does_not():
    """What is no deprecated field changes the rules, or the table that a curriculum makes."""
    of_the_table = {
        "num_active_tasks",
        "max_memory_tasks",
        "max_inactive_labels_retained",
        "use_shared_memory",
        "eviction_threshold_percentile",
    }
    plain = LearningProgressConfig(score_range=(0.0, 1.0), sampling="sigmoid")
    for name, default in DEFAULTS.items():
        if name in of_the_table:
            continue
        other = {bool: lambda v: not v, int: lambda v: v + 1, type(None): lambda v: [1.0]}.get(
            type(default), lambda v: v * 0.5 + 0.133
        )(default)
        fields = {"score_range": (0.0, 1.0), "sampling": "sigmoid", name: other}
        if name in LearningProgressConfig._MEANINGLESS:
            with pytest.warns(DeprecationWarning, match=name):
                LearningProgressConfig(**fields)
        else:
            assert LearningProgressConfig(**fields).rules() != plain.rules(), name
