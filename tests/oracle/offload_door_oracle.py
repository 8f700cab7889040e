"""libecld_offload.so from Python: shapes, determinism, refusals; where Gymnasium and
Stable-Baselines3 are there, the checks of the one and a short run of the other."""
import importlib.util
import pathlib
import sys

import numpy as np

import compare

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bindings/python"))
import ecld_offload  # noqa: E402

SHORT = ["horizon_s=20", "warmup_s=0"]


def scenario(folder):
    """home.yaml over a made-up model on a modelled device."""
    model = compare.tiny_checkpoint(folder / "model", seed=1)
    compare.run(compare.tool("ecld-device"), "profile", model, "--out", folder / "profile", "--as", "l4", "--variant-id", "t")
    text = (ROOT / "offload/scenarios/home.yaml").read_text()
    for name in ("SmolLM2-135M-Instruct-off-grid-mixed5", "SmolLM2-135M-Instruct-off-grid"):
        text = text.replace(f"demo/results/{name}/profile", str(folder / "profile"))
    (folder / "home.yaml").write_text(text)
    return folder / "home.yaml"


def refuses(call, text):
    try:
        call()
    except ecld_offload.OffloadError as error:
        assert text in str(error), error
    else:
        raise AssertionError(f"nothing was refused with {text!r}")


def check_batch(file, library):
    first, second = (ecld_offload.Batch(file, 4, SHORT, library) for _ in range(2))
    assert first.limits == ("energy",) and first.choices == 2
    refuses(lambda: first.step([0] * 4), "comes before ecld_offload_reset")
    chance, ends = np.random.default_rng(1), 0
    for batch in (first, second):
        batch.reset(7)
    for _ in range(300):
        actions = chance.integers(0, 2, 4)
        for batch in (first, second):
            batch.step(actions)
        for name in ("observations", "rewards", "costs", "allowed", "truncated", "last_observations"):
            assert np.array_equal(getattr(first, name), getattr(second, name)), name
        assert np.isfinite(first.observations).all() and (first.rewards <= 0).all()
        ends += first.truncated.sum()
    assert ends > 0 and not first.terminated.any()
    refuses(lambda: first.step([0, 0, 2, 0]), "environment 2: choice 2 is not one that may be made")
    refuses(lambda: first.step([0, -1, 0, 0]), "environment 1: choice -1")
    refuses(lambda: first.step([0]), "of shape (1,)")
    refuses(lambda: ecld_offload.Batch(file, 0, SHORT, library), "1 to 65536 environments")
    refuses(lambda: ecld_offload.Batch(file, 1, ["horizon=3"], library), "horizon_s")
    refuses(lambda: ecld_offload.Batch("nowhere.yaml", 1, [], library), "nowhere.yaml")


def check_gymnasium(file, library):
    import gymnasium
    from gymnasium.utils.env_checker import check_env
    check_env(ecld_offload.Env(file, SHORT, library), skip_render_check=True)
    envs = ecld_offload.VectorEnv(file, 3, SHORT, library)
    assert envs.metadata["autoreset_mode"] == gymnasium.vector.AutoresetMode.SAME_STEP
    seen, _ = envs.reset(seed=3)
    ended = 0
    for _ in range(300):
        assert envs.observation_space.contains(seen)
        seen, rewards, terminated, truncated, infos = envs.step(envs.action_space.sample())
        assert rewards.shape == terminated.shape == (3,) and infos["costs"].shape == (3, 1)
        assert ("final_obs" in infos) == bool(truncated.any())
        ended += truncated.sum()
    assert ended > 0
    envs.close()


def check_stable_baselines(file, library):
    from stable_baselines3 import PPO
    from stable_baselines3.common.vec_env import VecMonitor
    envs = ecld_offload.for_stable_baselines(file, 4, SHORT, library, seed=2)
    model = PPO("MlpPolicy", VecMonitor(envs), n_steps=32, batch_size=64, seed=1, device="cpu").learn(512)
    assert model.num_timesteps == 512 and len(model.ep_info_buffer) > 0
    envs.close()


def body(folder):
    library = compare.tool("libecld_offload.so")
    file = scenario(folder)
    check_batch(file, library)
    compare.check("the door", True, "shapes, determinism, refusals")
    if not ecld_offload.gymnasium:
        return compare.skip("Gymnasium's checks: package gymnasium is not installed")
    check_gymnasium(file, library)
    compare.check("Gymnasium's checks", True, "of an environment and of a batch of them")
    if not importlib.util.find_spec("stable_baselines3"):
        return compare.skip("Stable-Baselines3: not installed")
    check_stable_baselines(file, library)
    compare.check("Stable-Baselines3", True, "learns through the door")


compare.main(body, "ecld-device", "tiny_checkpoint", "libecld_offload.so")
