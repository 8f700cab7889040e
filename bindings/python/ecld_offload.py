"""Offloading as an environment to learn in: libecld_offload.so by ctypes and numpy; for Gymnasium a VectorEnv and an Env, and
an adapter for Stable-Baselines3, each where that package is installed.

    import ecld_offload
    envs = ecld_offload.VectorEnv("offload/scenarios/home.yaml", environments=8, library="build/release/libecld_offload.so")
    observations, infos = envs.reset(seed=1)

A step is the choice for one request: the variants of its device, then the servers. infos["allowed"] says which may be made,
infos["costs"] what counts against each limit (`limits`), kept where its mean is 0 or less."""
import ctypes
import os
import pathlib

import numpy as np

try:
    import gymnasium
except ImportError:
    gymnasium = None

VERSION = 1


class OffloadError(Exception):
    """What ecld_offload_error said."""


def _load(library):
    lib = ctypes.CDLL(os.fspath(library or os.environ.get("ECLD_OFFLOAD_LIBRARY", "libecld_offload.so")))
    pointer, size = ctypes.c_void_p, ctypes.c_size_t
    for name, result, arguments in (("version", ctypes.c_uint32, []), ("error", ctypes.c_char_p, []),
                                    ("create", pointer, [ctypes.c_char_p, ctypes.POINTER(ctypes.c_char_p), size, size]),
                                    ("close", None, [pointer]), ("observed", size, [pointer]),
                                    ("choices", size, [pointer]), ("limits", size, [pointer]),
                                    ("limit", ctypes.c_char_p, [pointer, size]),
                                    ("reset", ctypes.c_int, [pointer, ctypes.c_uint64, pointer, pointer]),
                                    ("step", ctypes.c_int, [pointer] * 9)):
        function = getattr(lib, f"ecld_offload_{name}")
        function.restype, function.argtypes = result, arguments
    if lib.ecld_offload_version() != VERSION:
        raise OffloadError(f"{library} is of version {lib.ecld_offload_version()}, {VERSION} would be right")
    return lib


class Batch:
    """Environments stepped in one batch. The arrays are written anew by each call."""

    def __init__(self, scenario, environments=1, overrides=(), library=None):
        self._handle = None
        self._lib = _load(library)
        texts = [text.encode() for text in overrides]
        self._handle = self._lib.ecld_offload_create(os.fspath(pathlib.Path(scenario)).encode(),
                                                     (ctypes.c_char_p * len(texts))(*texts), len(texts), environments)
        if not self._handle:
            raise self._error()
        self.environments = environments
        self.observed = self._lib.ecld_offload_observed(self._handle)
        self.choices = self._lib.ecld_offload_choices(self._handle)
        self.limits = tuple(self._lib.ecld_offload_limit(self._handle, i).decode()
                            for i in range(self._lib.ecld_offload_limits(self._handle)))
        self.observations = np.zeros((environments, self.observed), np.float32)
        self.last_observations = np.zeros_like(self.observations)
        self.allowed = np.zeros((environments, self.choices), np.uint8)
        self.rewards = np.zeros(environments, np.float32)
        self.costs = np.zeros((environments, len(self.limits)), np.float32)
        self.terminated, self.truncated = (np.zeros(environments, np.uint8) for _ in range(2))

    def _error(self):
        return OffloadError(self._lib.ecld_offload_error().decode())

    def reset(self, seed):
        if not self._lib.ecld_offload_reset(self._handle, seed, self.observations.ctypes.data, self.allowed.ctypes.data):
            raise self._error()

    def step(self, actions):
        actions = np.ascontiguousarray(actions, np.int64)
        if actions.shape != (self.environments,):
            raise OffloadError(f"actions are of shape {actions.shape}, ({self.environments},) would be right")
        out = (self.observations, self.allowed, self.rewards, self.costs, self.terminated, self.truncated,
               self.last_observations)
        if not self._lib.ecld_offload_step(self._handle, actions.ctypes.data, *(array.ctypes.data for array in out)):
            raise self._error()

    def close(self):
        if self._handle:
            self._lib.ecld_offload_close(self._handle)
            self._handle = None

    __del__ = close


def _spaces(batch):
    return gymnasium.spaces.Box(-np.inf, np.inf, (batch.observed,), np.float32), gymnasium.spaces.Discrete(batch.choices)


if gymnasium:
    class VectorEnv(gymnasium.vector.VectorEnv):
        """Ends and begins in the same step: infos["final_obs"] has what an episode ended with, where infos["_final_obs"]."""

        metadata = {"autoreset_mode": gymnasium.vector.AutoresetMode.SAME_STEP}

        def __init__(self, scenario, environments=1, overrides=(), library=None):
            self.batch = Batch(scenario, environments, overrides, library)
            self.num_envs, self.limits = environments, self.batch.limits
            self.single_observation_space, self.single_action_space = _spaces(self.batch)
            self.observation_space = gymnasium.vector.utils.batch_space(self.single_observation_space, environments)
            self.action_space = gymnasium.vector.utils.batch_space(self.single_action_space, environments)

        def reset(self, *, seed=None, options=None):
            super().reset(seed=seed, options=options)
            self.batch.reset(int(self.np_random.integers(2 ** 63)) if seed is None else seed)
            return self.batch.observations.copy(), {"allowed": self.batch.allowed.copy()}

        def step(self, actions):
            batch = self.batch
            batch.step(actions)
            terminated, truncated = batch.terminated.astype(bool), batch.truncated.astype(bool)
            infos = {"allowed": batch.allowed.copy(), "costs": batch.costs.copy()}
            if (terminated | truncated).any():
                infos.update(final_obs=batch.last_observations.copy(), _final_obs=terminated | truncated)
            return batch.observations.copy(), batch.rewards.astype(np.float64), terminated, truncated, infos

        def close_extras(self, **kwargs):
            self.batch.close()

    class Env(gymnasium.Env):
        """One environment, which is to be reset after an end."""

        metadata = {"render_modes": []}

        def __init__(self, scenario, overrides=(), library=None):
            self.batch = Batch(scenario, 1, overrides, library)
            self.limits = self.batch.limits
            self.observation_space, self.action_space = _spaces(self.batch)

        def reset(self, *, seed=None, options=None):
            super().reset(seed=seed, options=options)
            self.batch.reset(int(self.np_random.integers(2 ** 63)) if seed is None else seed)
            return self.batch.observations[0].copy(), {"allowed": self.batch.allowed[0].copy()}

        def step(self, action):
            batch = self.batch
            batch.step([action])
            ended = bool(batch.terminated[0] or batch.truncated[0])
            seen = batch.last_observations if ended else batch.observations
            return (seen[0].copy(), float(batch.rewards[0]), bool(batch.terminated[0]), bool(batch.truncated[0]),
                    {"allowed": batch.allowed[0].copy(), "costs": batch.costs[0].copy()})

        def close(self):
            self.batch.close()


def for_stable_baselines(scenario, environments=1, overrides=(), library=None, seed=0):
    """A VecEnv of Stable-Baselines3."""
    from stable_baselines3.common.vec_env import VecEnv

    class Adapter(VecEnv):
        def __init__(self):
            self.batch = Batch(scenario, environments, overrides, library)
            self.render_mode = None
            self._actions, self._returns, self._lengths = None, np.zeros(environments), np.zeros(environments, int)
            super().__init__(environments, *_spaces(self.batch))

        def reset(self):
            seeds = [one for one in self._seeds if one is not None]
            self.batch.reset(seeds[0] if seeds else seed)
            self._reset_seeds()
            self._returns[:], self._lengths[:] = 0, 0
            return self.batch.observations.copy()

        def step_async(self, actions):
            self._actions = actions

        def step_wait(self):
            batch = self.batch
            batch.step(self._actions)
            ended = (batch.terminated | batch.truncated).astype(bool)
            self._returns += batch.rewards
            self._lengths += 1
            infos = [{"costs": batch.costs[i].copy(), "allowed": batch.allowed[i].copy()} for i in range(self.num_envs)]
            for i in np.flatnonzero(ended):
                infos[i].update({"terminal_observation": batch.last_observations[i].copy(),
                                 "TimeLimit.truncated": bool(batch.truncated[i]),
                                 "episode": {"r": self._returns[i], "l": int(self._lengths[i])}})
                self._returns[i], self._lengths[i] = 0, 0
            return batch.observations.copy(), batch.rewards.copy(), ended, infos

        def close(self):
            self.batch.close()

        def get_attr(self, attr_name, indices=None):
            return [getattr(self, attr_name)] * len(self._get_indices(indices))

        def set_attr(self, attr_name, value, indices=None):
            raise NotImplementedError("environments have no attributes of their own")

        def env_method(self, method_name, *arguments, indices=None, **named):
            raise NotImplementedError("environments have no methods of their own")

        def env_is_wrapped(self, wrapper_class, indices=None):
            return [False] * len(self._get_indices(indices))

    return Adapter()
