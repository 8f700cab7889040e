#!/usr/bin/env python3
"""SimPy's model of the queue that offload_bench times: M/M/1 at a load of 0.8, as its documentation writes such a model.

    simpy_queue.py CUSTOMERS        prints customers per second, and the mean wait
"""
import random
import sys
import time

import simpy

ARRIVALS_PER_S, MEAN_SERVICE_S = 0.8, 1.0


def customer(env, server, waits):
    came = env.now
    with server.request() as turn:
        yield turn
        waits.append(env.now - came)
        yield env.timeout(random.expovariate(1 / MEAN_SERVICE_S))


def source(env, server, waits, customers):
    for _ in range(customers):
        yield env.timeout(random.expovariate(ARRIVALS_PER_S))
        env.process(customer(env, server, waits))


def main():
    customers = int(sys.argv[1])
    random.seed(1)
    env = simpy.Environment()
    waits = []
    env.process(source(env, simpy.Resource(env, capacity=1), waits, customers))
    start = time.perf_counter()
    env.run()
    print(customers / (time.perf_counter() - start), sum(waits) / len(waits))


main()
