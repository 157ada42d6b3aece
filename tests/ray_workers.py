"""Ray of one and of two machines, and what its actors do in the tests."""

import copy
import os
import sys
from contextlib import contextmanager

import ray
from ray.cluster_utils import Cluster

from curricle import Curriculum, NoiseAwareConfig
from curricle.integrations.ray import RayExchange

# A session keeps what it has to exchange where its configuration says so.
OF_EXCHANGE = {"sync_episodes": 1000}


SIZE = {"num_cpus": 2, "include_dashboard": False, "object_store_memory": 80 * 2**20}


def _init(**options):
    # Workers import what the tests import.
    paths = {"env_vars": {"PYTHONPATH": os.pathsep.join(sys.path)}}
    ray.init(log_to_driver=False, runtime_env=paths, **options)


@contextmanager
def small_ray():
    """Ray on one machine, for as long as the tests of a file."""
    _init(**SIZE)
    try:
        yield
    finally:
        ray.shutdown()


@contextmanager
def two_machines():
    """Ray on two machines, as far as it knows; the second is given, for `remove_node`."""
    cluster = Cluster(initialize_head=True, head_node_args=SIZE)
    try:
        second = cluster.add_node(**SIZE)
        _init(address=cluster.address)
        yield cluster, second
    finally:
        ray.shutdown()
        cluster.shutdown()


def payload(number, rank):
    """Of any length, none included, and of every kind of bytes."""
    return bytes([number, rank, 0, 255]) * (number * rank)


@ray.remote(num_cpus=0)
class Machine:
    """The one process of a machine that takes part in an exchange."""

    def begin(self, *place, **options):
        self.exchange = RayExchange(*place, **options)

    def gather(self, payload):
        self.before = copy.copy(self.exchange)
        return self.exchange(payload)

    def lose_answer(self):
        """As if the last round had ended for the others only."""
        self.exchange = self.before

    def gather_often(self, rounds, rank):
        return [self.exchange(payload(number, rank)) for number in range(rounds)]

    def share(self, rank, episodes):
        """Reports episodes to a session of this machine, exchanges, and says what is there."""
        config = NoiseAwareConfig(**OF_EXCHANGE)
        with Curriculum(4, config, seed=0) as curriculum:
            for number in range(episodes):
                curriculum.report(number % 4, float(rank))
            curriculum.exchange(self.exchange)
            totals = curriculum.tracker.totals()
            return totals["completions"], totals["score_sum"]
