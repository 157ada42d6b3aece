"""The drop-in wrapper around environments as trainers have them."""

import pickle
import warnings

import gymnasium as gym
import numpy as np
import pytest

from compat_envs import GymCorridor, PufferCorridor, corridors, learning, make, short_and_long
from curricle.compat.curriculum_base import CurriculumTask
from curricle.compat.curriculum_env import CurriculumEnv
from curricle.compat.learning_progress_algorithm import LearningProgressConfig
from curricle.compat.task_generator import BucketedTaskGenerator, SingleTaskGenerator


def wrap(env=None, curriculum=None):
    return CurriculumEnv(env or PufferCorridor(), curriculum or make())


def facts_of(infos):
    merged = {}
    for info in infos if isinstance(infos, list) else [infos]:
        merged.update(info)
    return {key: value for key, value in merged.items() if key.startswith("env_curriculum/")}


def play_episode(env):
    """Steps to the end of the episode; the last transition."""
    while True:
        transition = env.step([1, 1])
        if np.any(transition[2]) or np.any(transition[3]):
            return transition


class TestTasks:
    def test_parts(self):
        inner, curriculum = PufferCorridor(), make()
        env = wrap(inner, curriculum)
        assert env._env is inner
        assert env._curriculum is curriculum
        assert curriculum._tasks[env._current_task._task_id] is env._current_task

    def test_reset_draws_a_task_and_plays_it(self):
        curriculum = make()
        env = wrap(curriculum=curriculum)
        seen = set()
        for _ in range(20):
            before = curriculum.stats()["num_scheduled"]
            env.reset()
            assert curriculum.stats()["num_scheduled"] == before + 1
            assert env._env.length == env._current_task.get_env_cfg()["length"]
            seen.add(env._current_task._task_id)
        assert len(seen) > 1

    def test_reset_passes_on_what_it_is_given(self):
        env = wrap(GymCorridor())
        observation, info = env.reset(seed=5, options={})
        assert (observation, info) == (0, {"length": env._current_task._env_cfg["length"]})
        assert env._env.np_random_seed == 5

    def test_the_end_of_an_episode_hands_over_the_next_task(self):
        env = wrap()
        env.reset()
        for _ in range(20):
            play_episode(env)
            task = env._current_task
            resets = env._env.resets
            play_episode(env)
            assert env._env.played[-1] == task._env_cfg["length"]
            assert env._env.resets == resets

    def test_an_environment_without_set_mg_config_is_refused(self):
        with pytest.raises(TypeError, match="has no set_mg_config"):
            CurriculumEnv(gym.make("CartPole-v1"), make())


class TestScores:
    @pytest.mark.parametrize("ends", [1, 2])
    def test_an_episode_counts_once_however_many_agents_end(self, ends):
        curriculum = make()
        env = wrap(PufferCorridor(num_agents=3, ends=ends), curriculum)
        env.reset()
        for episodes in range(1, 11):
            task = env._current_task
            before = task._num_completions
            play_episode(env)
            assert task._num_completions == before + 1
            assert curriculum.stats()["num_completed"] == episodes

    def test_the_score_is_the_mean_over_agents(self):
        curriculum = make(size=1)
        env = wrap(PufferCorridor(num_agents=3), curriculum)
        env.reset()
        play_episode(env)
        play_episode(env)
        # Agents get 0, 1 and 2 in all.
        (task,) = curriculum._tasks.values()
        assert (task._num_completions, task._mean_score) == (2, pytest.approx(1.0))

    def test_truncation_ends_an_episode(self):
        class Truncated(PufferCorridor):
            def step(self, actions):
                observations, rewards, ended, other, infos = super().step(actions)
                return observations, rewards, other, ended, infos

        curriculum = make()
        env = wrap(Truncated(), curriculum)
        env.reset()
        play_episode(env)
        assert curriculum.stats()["num_completed"] == 1.0

    def test_the_rewards_count_where_there_is_no_get_episode_rewards(self):
        curriculum = make(size=1)
        env = wrap(GymCorridor(), curriculum)
        (task,) = curriculum._tasks.values()
        for _ in range(3):
            env.reset()
            play_episode(env)
        assert task._num_completions == 3
        assert task._mean_score == task._env_cfg["length"]

    def test_rewards_begin_anew_where_the_environment_resets_itself(self):
        class Silent(PufferCorridor):
            @property
            def get_episode_rewards(self):
                raise AttributeError

        curriculum = make(size=1)
        env = wrap(Silent(num_agents=3), curriculum)
        env.reset()
        for _ in range(4):
            play_episode(env)
        (task,) = curriculum._tasks.values()
        assert (task._num_completions, task._mean_score) == (4, pytest.approx(1.0))

    @pytest.mark.parametrize(
        ("rewards", "score"),
        [({"a": 1.0, "b": 2.0}, 1.5), ([3.0, 4.0], 3.5), (2.0, 2.0), ({}, 0.5), ([], 0.5)],
    )
    def test_episode_rewards_of_any_form(self, rewards, score):
        inner = PufferCorridor()
        inner.get_episode_rewards = lambda: rewards
        env = wrap(inner, make(size=1))
        env.reset()
        task = env._current_task
        play_episode(env)
        assert (task._num_completions, task._mean_score) == (1, pytest.approx(score))

    def test_an_abandoned_episode_counts_nowhere(self):
        curriculum = make()
        env = wrap(GymCorridor(), curriculum)
        env.reset()
        env.step(1)
        env.reset()
        assert curriculum.stats()["num_completed"] == 0.0
        play_episode(env)
        task = next(t for t in curriculum._tasks.values() if t._num_completions)
        assert task._total_score == task._env_cfg["length"]

    def test_several_environments_share_a_curriculum(self):
        curriculum = make(hypers=learning())
        envs = [wrap(curriculum=curriculum) for _ in range(3)]
        for env in envs:
            env.reset()
            play_episode(env)
        assert curriculum.stats()["num_completed"] == 3.0
        assert {env._curriculum for env in envs} == {curriculum}

    def test_each_of_their_episodes_counts_also_where_another_s_end_evicts_its_task(self):
        curriculum = make(hypers=learning(), size=4)
        envs = [wrap(curriculum=curriculum) for _ in range(3)]
        for env in envs:
            env.reset()
        for _ in range(200):
            for env in envs:
                play_episode(env)
        stats = curriculum.stats()
        assert stats["num_evicted"] > 10
        assert stats["algorithm/late_reports"] > 0
        assert stats["num_completed"] == 600


class TestInvalidTasks:
    def env(self, lengths, size=20):
        generator = BucketedTaskGenerator.Config(base={"length": 0}, buckets={"length": lengths})
        return wrap(curriculum=make(generator, size=size))

    def test_another_task_is_drawn_with_a_warning(self):
        env = self.env([-1, 3])
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            for _ in range(20):
                env.reset()
                assert env._current_task._env_cfg == {"length": 3}
        assert caught
        assert {warning.category for warning in caught} == {RuntimeWarning}
        assert "ValueError('length -1 is below 0')" in str(caught[0].message)
        assert set(env._env.played) == {3}

    def test_after_ten_it_is_an_error(self):
        env = self.env([-1])
        before = env._curriculum.stats()["num_scheduled"]
        with (
            pytest.warns(RuntimeWarning) as caught,
            pytest.raises(RuntimeError, match="could not be set up") as refused,
        ):
            env.reset()
        assert len(caught) == 9
        assert env._curriculum.stats()["num_scheduled"] == before + 10
        assert isinstance(refused.value.__cause__, ValueError)

    @pytest.mark.parametrize("hypers", [None, learning()])
    @pytest.mark.filterwarnings("ignore::RuntimeWarning")
    def test_they_leave_the_pool(self, hypers):
        lengths = BucketedTaskGenerator.Config(
            base={"length": 0}, buckets={"length": [-1, 1, 1, 1]}
        )
        env = wrap(curriculum=make(lengths, hypers=hypers, size=40))
        for _ in range(1000):
            env.reset()
            env.step([1, 1])
        played = [task._env_cfg["length"] for task in env._curriculum._tasks.values()]
        assert len(played) == 40
        assert played.count(-1) <= 2

    def test_at_the_end_of_an_episode_as_well(self):
        env = self.env([-1, 2])
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            env.reset()
            for _ in range(20):
                play_episode(env)
        assert caught
        assert env._curriculum.stats()["num_completed"] == 20.0


class TestInfos:
    def test_statistics_come_every_nth_step(self):
        env = wrap(curriculum=make(hypers=learning(), size=8))
        env.set_stats_update_frequency(4)
        env.reset()
        with_stats = [
            "env_curriculum/num_created" in facts_of(env.step([1, 1])[4]) for _ in range(12)
        ]
        assert with_stats == [False, False, False, True] * 3

    def test_they_can_be_forced(self):
        curriculum = make(short_and_long(), hypers=learning(), size=8)
        env = wrap(curriculum=curriculum)
        env.reset()
        env.force_stats_update()
        facts = facts_of(env.step([1, 1])[4])
        for name in ("num_created", "num_evicted", "num_completed", "num_active_tasks"):
            assert facts[f"env_curriculum/{name}"] == curriculum.stats()[name]
        lp_scores = facts["env_curriculum/per_label_lp_scores"]
        assert lp_scores == {"short": pytest.approx(0.1), "long": pytest.approx(0.1)}
        assert not any("completion_counts" in key for key in facts)
        assert "env_curriculum/algorithm/lp_mean" in facts
        assert "env_curriculum/num_created" not in facts_of(env.step([1, 1])[4])

    @pytest.mark.parametrize("n", [0, -1])
    def test_a_frequency_that_cannot_be(self, n):
        with pytest.raises(ValueError, match=f"n={n}"):
            wrap().set_stats_update_frequency(n)

    def test_an_episode_tells_of_its_label(self):
        curriculum = make(corridors(2, 4, "walk"), hypers=learning())
        env = wrap(curriculum=curriculum)
        env.reset()
        facts = facts_of(play_episode(env)[4])
        assert facts["env_curriculum/per_label_rewards"] == {"walk": pytest.approx(0.5)}
        assert facts["env_curriculum/per_label_completion_counts"] == {"walk": 1.0}
        assert facts["env_curriculum/per_label_lp_scores"]["walk"] > 0.0
        # The task of the constructor, that of the reset, and the next.
        assert facts["env_curriculum/per_label_samples"] == {"walk": 3.0}

    def test_a_list_of_infos_stays_one(self):
        env = wrap(curriculum=make(corridors(2, 4, "walk")))
        env.reset()
        *_, infos = play_episode(env)
        assert isinstance(infos, list)
        assert infos[0]["length"] in (2, 3, 4)
        env.force_stats_update()
        while True:
            *_, terminals, _, infos = env.step([1, 1])
            if not np.any(terminals):
                break
            env.force_stats_update()
        assert len(infos) == 1
        assert "env_curriculum/num_completed" in infos[0]

    def test_a_dict_of_infos_stays_one(self):
        env = wrap(GymCorridor(), make(corridors(2, 4, "walk")))
        env.reset()
        *_, info = play_episode(env)
        assert info["length"] in (2, 3, 4)
        assert info["env_curriculum/per_label_rewards"].keys() == {"walk"}

    @pytest.mark.parametrize(
        ("infos", "at"),
        [
            (None, lambda made: made),
            ([], lambda made: made[0]),
            ([None], lambda made: made[0]),
            ([None, {"length": 3}], lambda made: made[0]),
            (({"length": 3},), lambda made: made[0]),
            ([[{"length": 3}], [{}]], lambda made: made[0][0]),
            ([[], [{}]], lambda made: made[0][0]),
        ],
    )
    def test_infos_of_any_form_take_the_curriculum_s(self, infos, at):
        inner = GymCorridor()
        step = inner.step
        inner.step = lambda action: (*step(action)[:4], infos)
        env = wrap(inner, make(corridors(2, 4, "walk")))
        env.reset()
        made = play_episode(env)[4]
        assert at(made)["env_curriculum/per_label_completion_counts"] == {"walk": 1.0}
        assert "env_curriculum/per_label_completion_counts" not in str(infos)
        if isinstance(infos, list):
            assert made[1:] == infos[1:]

    def test_infos_that_cannot_take_them_are_refused(self):
        inner = GymCorridor()
        step = inner.step
        inner.step = lambda action: (*step(action)[:4], "nothing")
        env = wrap(inner, make(corridors(2, 4, "walk")))
        env.reset()
        with pytest.raises(TypeError, match="infos are a str; make them a dict or a list"):
            play_episode(env)

    def test_without_labels_there_are_none(self):
        env = wrap()
        env.reset()
        assert facts_of(play_episode(env)[4]) == {}


class TestForwarding:
    def test_attributes_are_those_of_the_environment(self):
        env = wrap(PufferCorridor(num_agents=5))
        assert env.num_agents == 5
        assert env.single_action_space.n == 2
        with pytest.raises(AttributeError, match="no attribute 'nothing'"):
            _ = env.nothing

    def test_to_isinstance_it_is_what_it_wraps(self):
        env = wrap(PufferCorridor())
        assert isinstance(env, PufferCorridor)
        assert isinstance(env, CurriculumEnv)
        assert not isinstance(env, GymCorridor)
        assert isinstance(wrap(GymCorridor()), gym.Env)

    def test_a_curriculum_of_the_trainer_s_own(self):
        class OneTask:
            """Has what the wrapper of the earlier curriculum asked for, and no more."""

            _algorithm = None

            def __init__(self):
                self.task = CurriculumTask(1, {"length": 2, "label": "walk"})
                self.scores = []

            def get_task(self):
                return self.task

            def update_task_performance(self, task_id, score):
                self.scores.append((task_id, score))

            def stats(self):
                return {"num_completed": float(len(self.scores))}

        env = wrap(curriculum=OneTask())
        env.set_stats_update_frequency(2)
        env.reset()
        facts = facts_of(play_episode(env)[4])
        assert env._curriculum.scores == [(1, 0.5)]
        assert facts == {
            "env_curriculum/num_completed": 1.0,
            "env_curriculum/per_label_rewards": {"walk": 0.5},
        }

    def test_pickling(self):
        env = wrap(curriculum=make(hypers=LearningProgressConfig()))
        env.reset()
        copy = pickle.loads(pickle.dumps(env))
        assert copy.num_agents == 2
        copy.reset()
        play_episode(copy)
        assert env._curriculum.stats()["num_completed"] == 1.0

    @pytest.mark.parametrize("context", [None, "fork", "spawn", "forkserver"])
    def test_in_a_vector_environment(self, context):
        curriculum = make(hypers=LearningProgressConfig())
        makers = [EnvMaker(curriculum)] * 2
        if context is None:
            envs = gym.vector.SyncVectorEnv(makers)
        else:
            envs = gym.vector.AsyncVectorEnv(makers, context=context)
        envs.reset(seed=0)
        ended = 0
        for _ in range(60):
            _, _, terminations, truncations, _ = envs.step(np.ones(2, np.int64))
            ended += int(np.sum(terminations | truncations))
        envs.close()
        assert curriculum.stats()["num_completed"] == ended > 10
        curriculum._tracker.verify()


class EnvMaker:
    """Makes an environment, in whichever process."""

    def __init__(self, curriculum):
        self.curriculum = curriculum

    def __call__(self):
        return CurriculumEnv(GymCorridor(), self.curriculum)


class TestSingleTask:
    def test_one_task_is_played_over_and_over(self):
        env = wrap(curriculum=make(SingleTaskGenerator.Config(env={"length": 2}), size=1))
        env.reset()
        for _ in range(5):
            play_episode(env)
        assert env._current_task._num_completions == 5
