"""Interpreters that end with a session open, in whatever way."""

import signal
import subprocess
import sys
import textwrap

import pytest

from curricle import Curriculum, list_sessions, remove_session
from refusals import new_name, own_files

LIMIT = 60.0
pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def name():
    """The name of a session of which nothing is left after the test."""
    own = new_name()
    yield own
    assert own_files(own) == ([], [])


def run(script, name, *options, code=0):
    """Runs a script in a process of its own; what it printed. It must not complain."""
    done = subprocess.run(
        [sys.executable, *options, "-c", textwrap.dedent(script), name],
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    assert (done.returncode, done.stderr) == (code, "")
    return done.stdout


PLACES = {
    "global": "kept = curriculum",
    "cycle": "class Loop: pass\nloop = Loop()\nloop.me, loop.it = loop, curriculum\ndel loop",
    "module": "import json\njson.kept = curriculum",
    "thread local": "import threading\nplace = threading.local()\nplace.kept = curriculum",
    "exception": "try:\n    1 / 0\nexcept ZeroDivisionError as e:\n    kept = (e, curriculum)",
    "default": "def use(kept=curriculum): pass",
    "generator": "def hold(it):\n    yield it\n    yield it\ngoing = hold(curriculum)\nnext(going)",
    "atexit": "import atexit\natexit.register(curriculum.close)",
    "used at exit": "import atexit\natexit.register(lambda it=curriculum: it.metrics())",
    "environment": (
        "import gymnasium\nfrom curricle import CurriculumEnv\n"
        "env = CurriculumEnv(gymnasium.make('CartPole-v1'), curriculum, "
        "apply=lambda env, task: None)\nenv.reset()"
    ),
}


class TestTheEnd:
    """Interpreters that end with a session open complain of nothing and leave nothing."""

    SCRIPT = (
        "import sys\nfrom curricle import Curriculum\n"
        "curriculum = Curriculum(5, session=sys.argv[1])\n"
    )

    @pytest.mark.parametrize("place", PLACES)
    def test_where_a_curriculum_is_kept(self, place, name):
        strict = ("-X", "dev", "-W", "error", "-W", "ignore::DeprecationWarning:gymnasium")
        script = f"{self.SCRIPT}\ncurriculum.draw()\n{PLACES[place]}\ndel curriculum\nprint('end')"
        assert run(script, name, *strict) == "end\n"

    @pytest.mark.parametrize("call", ["tracker.totals()", "draw()", "report(1, 0.5)", "verify()"])
    def test_a_finaliser_that_comes_too_late(self, call, name):
        script = f"""{textwrap.indent(self.SCRIPT, " " * 12)}
            class Last:
                def __init__(self, it): self.it = it
                def __del__(self):
                    try:
                        self.it.{call}
                    except OSError as error:
                        print(error)
            last = Last(curriculum)
            last.me = last
        """
        assert "this handle was closed" in run(script, name)

    @pytest.mark.parametrize("gc", ["gc.disable()", "gc.freeze()", "gc.set_threshold(1)"])
    def test_whatever_the_collector_does(self, gc, name):
        script = f"import gc\n{gc}\n{self.SCRIPT}\nloop = [curriculum]\nloop.append(loop)\n"
        run(script + "del loop, curriculum\n", name)

    @pytest.mark.parametrize("call", ["draw()", "report(1, 0.5)", "metrics()", "draw_many(100)"])
    def test_daemon_threads_in_the_middle_of_calls(self, call, name):
        script = f"""
            import sys, threading
            from curricle import Curriculum

            def work(started):
                while True:
                    curriculum.{call}
                    started.set()

            curriculum = Curriculum(5, session=sys.argv[1])
            for _ in range(3):
                started = threading.Event()
                threading.Thread(target=work, args=(started,), daemon=True).start()
                started.wait()
        """
        run(script, name)

    def test_a_daemon_thread_that_comes_too_late(self, name):
        # What is registered first runs last: after the session was left.
        script = """
            import atexit, sys, threading

            def go_on_to_the_end():
                go_on.set()
                thread.join()

            def work():
                go_on.wait()
                curriculum.draw()

            go_on = threading.Event()
            thread = threading.Thread(target=work, daemon=True)
            atexit.register(go_on_to_the_end)
            from curricle import Curriculum
            curriculum = Curriculum(5, session=sys.argv[1])
            thread.start()
        """
        run(script, name)

    def test_an_error_of_its_own_in_a_daemon_thread_is_shown(self, name):
        script = """
            import atexit, sys, threading

            def go_on_to_the_end():
                go_on.set()
                thread.join()

            def work():
                go_on.wait()
                raise OSError("the thread's own error")

            go_on = threading.Event()
            thread = threading.Thread(target=work, daemon=True)
            atexit.register(go_on_to_the_end)
            from curricle import Curriculum
            curriculum = Curriculum(5, session=sys.argv[1])
            thread.start()
        """
        with pytest.raises(AssertionError, match="s own error"):
            run(script, name)

    def test_a_local_session_with_daemon_threads(self, name):
        script = """
            import sys, threading
            from curricle import Session

            def work(started):
                while True:
                    session.update(1, 0.5)
                    started.set()

            session = Session(5)
            started = threading.Event()
            threading.Thread(target=work, args=(started,), daemon=True).start()
            started.wait()
        """
        run(script, name)

    def test_threads_that_outlive_the_main_one(self, name):
        script = f"""{textwrap.indent(self.SCRIPT, " " * 12)}
            import threading
            go_on = threading.Event()
            def work():
                go_on.wait()
                curriculum.report(curriculum.draw().ticket, 0.5)
                print(int(curriculum.metrics()["env_curriculum/num_completed"]))
            threading.Thread(target=work).start()
            go_on.set()
        """
        assert run(script, name) == "1\n"

    @pytest.mark.parametrize("end", ["sys.exit(3)", "raise SystemExit(3)"])
    def test_exits(self, end, name):
        run(f"{self.SCRIPT}\ncurriculum.draw()\n{end}", name, code=3)

    def test_os_exit_leaves_a_dead_session(self, name):
        run(f"{self.SCRIPT}\nimport os\ncurriculum.draw()\nos._exit(5)", name, code=5)
        (left,) = [session for session in list_sessions() if session["name"] == name]
        assert not left["live"]
        with pytest.warns(RuntimeWarning, match=f"{name}.*left behind.*made anew"):
            again = Curriculum(5, session=name)
        assert again.tracker.totals()["scheduled"] == 0
        again.close()

    def test_a_dead_session_is_removed(self, name):
        run(f"{self.SCRIPT}\nimport os\nos.kill(os.getpid(), 9)", name, code=-signal.SIGKILL)
        assert remove_session(name)

    def test_ctrl_c_between_calls(self, name):
        script = f"""{textwrap.indent(self.SCRIPT, " " * 12)}
            import os, signal
            try:
                while True:
                    curriculum.draw_many(100)
                    os.kill(os.getpid(), signal.SIGINT)
            except KeyboardInterrupt:
                print(curriculum.verify()["scheduled"])
        """
        assert run(script, name) == "100\n"
