"""Every page in a real browser: no error, no request, and nothing wider than the window."""

import shutil

import numpy as np
import pytest

from trainer.cli.main import run
from trainer.config.supervised import Supervised
from trainer.tune.layout import Layout
from trainer.tune.outcome import TrialStatus
from trainer.tune.space import Choice, LogUniform, Objective, Search
from trainer.tune.study import Limits, Study
from trainer.tune.trial import Trial

CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(not CHROMIUM, reason="needs chromium")
PAGES = ("classifier", "table", "agent", "search", "comparison")


@pytest.fixture(scope="module")
def pages(tmp_path_factory, request):
    """The directory of the pages of tiny runs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(request.config.rootpath)
        path = tmp_path_factory.mktemp("pages")
        steps = ("--config.train.steps=20", "--config.train.global_batch_size=32")
        digits = ("train", "--config=configs/digits_cnn.py", *steps)
        small = ("--config.model.filters=4", "--config.model.units=8")
        assert run([*digits, *small, f"--workdir={path / 'classifier'}"]) == 0
        _write_table(path / "t.csv")
        table = ("--config.data.kind=csv", f"--config.data.path={path / 't.csv'}")
        mlp = ("--config.model.kind=mlp", "--config.model.units=8")
        assert run([*digits, *table, *mlp, f"--workdir={path / 'table'}"]) == 0
        agent = (
            "--config.train.steps=300",
            "--config.agent.replay.min_size=100",
            "--config.seeds=5",
            "--parallel_seeds=1",
            "--jit=off",
        )
        episodes = ("--config.evaluate.episodes=5", "--config.evaluate.interim_episodes=3")
        cartpole = ("train", "--config=configs/cartpole_dqn.py", "--config.model.units=8")
        assert run([*cartpole, *agent, *episodes, f"--workdir={path / 'agent'}"]) == 0
        _write_search(path / "search")
        for name in PAGES[:-1]:
            assert (
                run(["report", str(path / name), f"--output={path / name}.html", "--jit=off"]) == 0
            )
        both = [str(path / name) for name in ("classifier", "table")]
        assert run(["report", *both, f"--output={path / 'comparison.html'}"]) == 0
        return path


def _write_table(path):
    rows = [
        f"{a},{'red' if b > 0 else '</script><b>a long name of a color'},{'yes' if a > 0 else 'no'}"
        for a, b in np.random.default_rng(0).normal(size=(200, 2))
    ]
    path.write_text("\n".join(["a number,color,label", *rows]) + "\n")


def _write_search(path):
    space = (
        LogUniform("optimizer.learning_rate", 1e-4, 1e-1),
        Choice("model.kind", ("cnn", "mlp")),
    )
    study = Study(Layout(path), Search(Objective("eval/loss"), space), Supervised(), Limits(9))
    for number in range(9):
        values = {"optimizer.learning_rate": 10 ** -(1 + number / 4), "model.kind": "cnn"}
        status = TrialStatus.FINISHED
        study.trials[str(number)] = Trial(
            str(number), values, 1.0, "", status, score=1.0 / (number + 1), ended=1.0 + number
        )
    study.close()


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.mark.parametrize("name", PAGES)
def test_a_page_on_a_phone_and_on_a_desk(name, pages, browser):
    page = browser.new_page(viewport={"width": 390, "height": 800}, color_scheme="dark")
    problems, requests = [], []
    page.on("console", lambda message: problems.append(message.text))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto((pages / f"{name}.html").as_uri())
    fill = "getComputedStyle(document.querySelector('.plot .xtitle, .plot .ytitle')).fill"
    dark = page.evaluate(fill)
    _check(page, 390)
    page.set_viewport_size({"width": 1280, "height": 800})
    _check(page, 1280)
    page.emulate_media(color_scheme="light")
    _wait_until(page, f"{fill} !== '{dark}'")
    _check(page, 1280)
    assert problems == []
    assert [url for url in requests if not url.startswith(("file:", "data:", "blob:"))] == []
    page.close()


def _wait_until(page, condition):
    """Waits for a condition in JavaScript; Playwright's own function needs eval in the page."""
    for _ in range(200):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(50)
    pytest.fail(condition)


def _check(page, width):
    """Every chart and picture is drawn, and fits into the window."""
    outside = """[...document.querySelectorAll('.plot, .plot .main-svg, img, video')].filter(e => {
        const box = e.getBoundingClientRect();
        return box.width < 20 || box.height < 20 || box.left < 0 || box.right > innerWidth; })"""
    _wait_until(page, f"{outside}.length === 0")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("[...document.images].filter(e => !e.naturalWidth).length") == 0
    plots = "[...document.querySelectorAll('.plot')]"
    assert page.evaluate(f"{plots}.every(e => e.querySelector('.main-svg text'))")
