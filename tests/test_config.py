"""Configurations: fields, presets, contradictions, and the rules that they become."""

import copy
import pickle
import warnings

import pytest
from pydantic import ValidationError

from curricle import Curriculum
from curricle.config import LearningProgressConfig, NoiseAwareConfig, UniformConfig

PRESETS = ["default", "stable", "fast_learning", "arena_legacy"]


class TestFields:
    def test_defaults(self):
        config = LearningProgressConfig()
        assert config.use_bidirectional
        assert config.ema_timescale == 0.1
        assert config.slow_timescale_factor == 0.2
        assert config.exploration_bonus == 0.1
        assert config.num_active_tasks == config.max_memory_tasks == 1000
        assert config.rand_task_rate == 0.01
        assert config.eviction_threshold_percentile == 0.4
        assert config.min_samples_for_lp == 10
        assert config.task_tracker_ema_alpha == 0.02

    def test_defaults_warn_of_nothing(self):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            LearningProgressConfig().rules()
            UniformConfig().rules()

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("ema_timescale", 0.0),
            ("ema_timescale", 1.5),
            ("slow_timescale_factor", 0.0),
            ("task_tracker_ema_alpha", -0.1),
            ("exploration_bonus", -1.0),
            ("rand_task_rate", 1.1),
            ("eviction_threshold_percentile", -0.1),
            ("early_progress_amplification", 1.0),
            ("z_score_amplification", 0.0),
            ("num_active_tasks", 0),
            ("max_memory_tasks", 0),
            ("min_samples_for_lp", -1),
            ("noise_deviations", float("nan")),
            ("baseline_samples", 0),
            ("score_range", (1.0, 0.0)),
            ("score_range", (0.0, float("inf"))),
            ("sampling", "softmax"),
        ],
    )
    def test_a_value_out_of_range_is_named(self, name, value):
        with pytest.raises(ValidationError, match=name):
            LearningProgressConfig(**{name: value})

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("ema_timescale", "0.1"),
            ("num_active_tasks", 10.0),
            ("use_bidirectional", 1),
            ("rand_task_rate", True),
            ("session_id", 7),
        ],
    )
    def test_a_wrong_type_is_refused(self, name, value):
        with pytest.raises(ValidationError, match=name):
            LearningProgressConfig(**{name: value})

    def test_a_misspelt_field_is_named_with_the_close_one(self):
        with pytest.raises(ValueError, match=r"'exploration_bonu'.*'exploration_bonus'"):
            LearningProgressConfig(exploration_bonu=0.2)
        with pytest.raises(ValueError, match=r"'ema_time'.*'ema_timescale'"):
            UniformConfig(ema_time=0.2)

    def test_a_config_is_frozen(self):
        with pytest.raises(ValidationError, match="frozen"):
            LearningProgressConfig().ema_timescale = 0.5

    def test_what_means_nothing_warns_only_if_it_is_given(self):
        with pytest.warns(DeprecationWarning, match="memory no longer means anything") as caught:
            LearningProgressConfig(memory=30)
        assert caught[0].filename == __file__

    def test_every_meaningless_field_is_a_field(self):
        meaningless = LearningProgressConfig._MEANINGLESS
        assert meaningless.keys() <= LearningProgressConfig.model_fields.keys()


class TestSizes:
    def test_capacity_follows_the_pool(self):
        assert LearningProgressConfig(num_active_tasks=5000).max_memory_tasks == 5000

    def test_the_pool_follows_capacity(self):
        assert LearningProgressConfig(max_memory_tasks=50).num_active_tasks == 50

    def test_two_that_disagree(self):
        with pytest.raises(ValueError, match=r"max_memory_tasks=50.*num_active_tasks=60"):
            LearningProgressConfig(max_memory_tasks=50, num_active_tasks=60)


class TestSession:
    def test_copies_share_a_session_and_configs_do_not(self, monkeypatch):
        monkeypatch.delenv("CURRICLE_SESSION", raising=False)
        config = LearningProgressConfig()
        copies = [
            copy.deepcopy(config),
            pickle.loads(pickle.dumps(config)),
            config.model_copy(update={"rand_task_rate": 0.5}),
            LearningProgressConfig.model_validate(config.model_dump(exclude_defaults=True)),
        ]
        assert {made.session_id for made in copies} == {config.session_id}
        assert LearningProgressConfig().session_id != config.session_id

    def test_the_environment_names_the_session(self, monkeypatch):
        monkeypatch.setenv("CURRICLE_SESSION", "run-7")
        assert LearningProgressConfig().session_id == "run-7"
        assert LearningProgressConfig(session_id="run-8").session_id == "run-8"

    def test_a_local_config_has_no_session(self):
        assert LearningProgressConfig(use_shared_memory=False).session_id is None


class TestRules:
    def test_every_field_arrives(self):
        config = LearningProgressConfig(
            ema_timescale=0.3,
            slow_timescale_factor=0.4,
            score_range=(-1.0, 2.0),
            noise_deviations=0.7,
            task_tracker_ema_alpha=0.05,
            task_default_success_threshold=0.6,
            task_default_generator_type=2.0,
            sampling="sigmoid",
            baseline_samples=3,
            exploration_bonus=0.25,
            exploration_blend_factor=0.75,
            min_samples_for_lp=4,
            progress_smoothing=0.01,
            performance_bonus_weight=0.2,
            z_score_amplification=3.0,
            early_progress_amplification=0.2,
            rand_task_rate=0.1,
        )
        assert config.rules().as_dict() == {
            "ema_alpha": 0.05,
            "ema_timescale": 0.3,
            "slow_timescale_factor": 0.4,
            "score_range": (-1.0, 2.0),
            "baseline": "mean",
            "baseline_samples": 3,
            "reweighting": 0.2,
            "noise_deviations": 0.7,
            "progress": "bidirectional",
            "law": "sigmoid",
            "amplification": 3.0,
            "floor": 0.1,
            "exploration": 0.25,
            "exploration_blend": 0.75,
            "min_samples": 4,
            "progress_floor": 0.01,
            "performance_bonus": 0.2,
            "success_threshold": 0.6,
            "generator_type": 2.0,
            "retry_by_column": False,
        }

    def test_without_bounds_there_is_no_baseline(self):
        assert LearningProgressConfig().rules().as_dict()["baseline"] is None

    def test_the_baseline_can_be_left_out(self):
        config = LearningProgressConfig(score_range=(0.0, 1.0), use_baseline_normalization=False)
        assert config.rules().as_dict()["baseline"] is None

    def test_what_needs_bounds_says_so(self):
        with pytest.raises(ValueError, match=r"use_baseline_normalization=True.*score_range"):
            LearningProgressConfig(use_baseline_normalization=True)
        with pytest.raises(ValueError, match=r"early_progress_amplification=0\.1.*score_range"):
            LearningProgressConfig(early_progress_amplification=0.1)

    def test_one_direction_is_the_variance(self):
        rules = LearningProgressConfig(use_bidirectional=False).rules().as_dict()
        assert rules["progress"] == "variance"

    def test_uniform(self):
        rules = UniformConfig(ema_timescale=0.3).rules().as_dict()
        assert (rules["law"], rules["progress"]) == ("uniform", "bidirectional")
        assert rules["ema_timescale"] == 0.3


@pytest.mark.parametrize("preset", PRESETS)
class TestPresets:
    def test_the_pool_is_the_first_argument(self, preset):
        make = getattr(LearningProgressConfig, preset)
        assert make().num_active_tasks == 256
        assert make(64).num_active_tasks == make(num_active_tasks=64).num_active_tasks == 64

    def test_overrides_go_first(self, preset):
        make = getattr(LearningProgressConfig, preset)
        assert make(ema_timescale=0.7).ema_timescale == 0.7

    def test_a_misspelt_override_is_named(self, preset):
        make = getattr(LearningProgressConfig, preset)
        with pytest.raises(ValueError, match=r"'rand_task_rat'.*'rand_task_rate'"):
            make(rand_task_rat=0.1)

    def test_a_wrongly_typed_override_is_refused(self, preset):
        make = getattr(LearningProgressConfig, preset)
        with pytest.raises(ValueError, match="rand_task_rate"):
            make(rand_task_rate="0.1")

    def test_nothing_is_deprecated(self, preset):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            getattr(LearningProgressConfig, preset)().rules()


class TestSuccessThreshold:
    def test_is_the_middle_of_the_range_unless_it_is_given(self):
        assert NoiseAwareConfig().task_default_success_threshold == 0.5
        config = NoiseAwareConfig(score_range=(-1.0, 0.0))
        assert config.task_default_success_threshold == -0.5
        assert config.rules().as_dict()["success_threshold"] == -0.5
        assert NoiseAwareConfig(**config.model_dump()) == config
        given = NoiseAwareConfig(score_range=(0, 100), task_default_success_threshold=90.0)
        assert given.task_default_success_threshold == 90.0

    def test_outside_the_range_is_refused(self):
        with pytest.raises(ValueError, match=r"=0.5 lies outside score_range=\(-1.0, 0.0\)"):
            NoiseAwareConfig(score_range=(-1.0, 0.0), task_default_success_threshold=0.5)

    def test_scores_of_any_range_are_told_apart_by_default(self):
        for low, high in ((-1.0, 0.0), (0.0, 100.0)):
            config = NoiseAwareConfig(score_range=(low, high), use_shared_memory=False)
            with Curriculum({"solved": 1, "impossible": 2}, config, seed=0) as curriculum:
                drawn = []
                for _ in range(1_000):
                    task = curriculum.draw()
                    drawn.append(task.task_id)
                    curriculum.report(task.ticket, high if task.task_id == 0 else low)
                assert drawn.count(1) > 900
