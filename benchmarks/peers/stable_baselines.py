#!/usr/bin/env python3
"""Learning beside Stable-Baselines3: the environments, settings, steps and seeds of ladder_bench, one thread, in turn.

    stable_baselines.py --ours build/release/ladder_bench [--seeds 5] [cartpole acrobot pendulum]

Needs stable-baselines3 2.9 and gymnasium. Prints the return of each seed, mean over 50 episodes by the likeliest action, and
the seconds that learning took; ours first, then theirs; then the ratio of the medians."""
import argparse
import re
import statistics
import subprocess
import time

import torch
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import VecNormalize

RUNGS = {
    "cartpole": dict(env="CartPole-v1", steps=100_000, n_envs=8, n_steps=32, batch_size=256, n_epochs=20, gamma=0.98,
                     gae_lambda=0.8, learning_rate=lambda left: 1e-3 * left, clip_range=lambda left: 0.2 * left),
    "acrobot": dict(env="Acrobot-v1", steps=200_000, n_envs=16, n_steps=256, batch_size=64, n_epochs=4, gamma=0.99,
                    gae_lambda=0.94, normalize=True),
    "pendulum": dict(env="Pendulum-v1", steps=200_000, n_envs=4, n_steps=1024, batch_size=64, n_epochs=10, gamma=0.9,
                     gae_lambda=0.95, learning_rate=1e-3),
}


def theirs(name, seed):
    """Return and seconds of one seed."""
    settings = dict(RUNGS[name])
    env, steps, normalize = settings.pop("env"), settings.pop("steps"), settings.pop("normalize", False)
    batch = make_vec_env(env, n_envs=settings.pop("n_envs"), seed=seed)
    if normalize:
        batch = VecNormalize(batch, gamma=settings["gamma"])
    started = time.monotonic()
    model = PPO("MlpPolicy", batch, seed=seed, device="cpu", **settings).learn(steps)
    seconds = time.monotonic() - started
    held_out = make_vec_env(env, n_envs=1, seed=1000 + seed)
    if normalize:
        held_out = VecNormalize(held_out, training=False, norm_reward=False)
        held_out.obs_rms = batch.obs_rms
    return evaluate_policy(model, held_out, n_eval_episodes=50)[0], seconds


def ours(program, name, seed):
    command = [program, name, "--seeds", "1", "--from", str(seed)]
    text = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    found = re.search(r"return (-?[\d.]+), ([\d.]+) s", text)
    return float(found[1]), float(found[2])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=list(RUNGS))
    parser.add_argument("--ours", required=True)
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    for name in options.names:
        pairs = []
        for seed in range(1, options.seeds + 1):
            pairs.append((ours(options.ours, name, seed), theirs(name, seed)))
            print(f"{name} seed {seed}: ours {pairs[-1][0][0]:.1f} in {pairs[-1][0][1]:.1f} s, "
                  f"theirs {pairs[-1][1][0]:.1f} in {pairs[-1][1][1]:.1f} s", flush=True)
        for what, at in (("ours", 0), ("theirs", 1)):
            returns = [pair[at][0] for pair in pairs]
            spread = 2.776 * statistics.stdev(returns) / len(returns) ** 0.5 if len(returns) == 5 else float("nan")
            print(f"{name}, {what}: mean {statistics.mean(returns):.1f} +- {spread:.1f} (95 %, Student)")
        ratio = statistics.median(b[1] for _, b in pairs) / statistics.median(a[1] for a, _ in pairs)
        print(f"{name}: theirs takes {ratio:.1f} times as long", flush=True)


if __name__ == "__main__":
    main()
