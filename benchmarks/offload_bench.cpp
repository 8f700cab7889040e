// The engine of offloading beside SimPy on the same queue (M/M/1), in turn; GOA on 200 requests and 10 servers; and a
// million requests of 100 devices by least latency.
//   offload_bench [PYTHON with simpy]        benchmarks/peers/simpy_queue.py runs there
#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <vector>

#include "measure/measure.h"
#include "offload/policies.h"
#include "offload/simulator.h"
#include "tests/offload/single_queue.h"
#include "tests/offload/small_world.h"

namespace ecld::offload {
namespace {

constexpr int kRounds = 3;

template <class Body>
double SecondsOf(const Body& body) {
  const auto start = std::chrono::steady_clock::now();
  body();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Customers per second of SimPy's model; 0: it did not run.
double SimPyRate(const std::string& python, int64_t customers) {
  const std::string command = fmt::format("{} benchmarks/peers/simpy_queue.py {}", python, customers);
  FILE* pipe = ::popen(command.c_str(), "r");
  if (!pipe) return 0;
  double rate = 0, mean_wait_s = 0;
  if (std::fscanf(pipe, "%lf %lf", &rate, &mean_wait_s) != 2) rate = 0;
  ::pclose(pipe);
  return rate;
}

void BesideSimPy(const std::string& python) {
  std::vector<double> ratios;
  for (int round = 0; round < kRounds; ++round) {
    constexpr int64_t kCustomers = 3'000'000;
    SingleQueueResult result;
    const double seconds = SecondsOf(
        [&] { result = RunSingleQueue(0.8, kCustomers, 1, [](Random& random) { return Exponential(random, 1); }); });
    const double ours = static_cast<double>(kCustomers) / seconds;
    fmt::print("M/M/1: {:.2f} M customers/s, {:.1f} M events/s", ours / 1e6,
               static_cast<double>(result.events) / seconds / 1e6);
    if (const double theirs = SimPyRate(python, 100'000); theirs > 0) {
      ratios.push_back(ours / theirs);
      fmt::print("; SimPy {:.4f} M customers/s: {:.0f} times", theirs / 1e6, ratios.back());
    }
    fmt::print("\n");
  }
  if (ratios.empty()) fmt::print("SimPy did not run: give a Python that has it\n");
}

void TimeGoa() {
  constexpr size_t kRequests = 200, kServers = 10;
  Random random(1);
  std::vector<std::vector<LocalOption>> local(kRequests);
  std::vector<std::vector<RemoteOption>> remote(kRequests);
  std::vector<Pending> pending(kRequests);
  for (size_t i = 0; i < kRequests; ++i) {
    local[i] = {{.run_s = 1 + 3 * random.Uniform()}};
    for (size_t j = 0; j < kServers; ++j)
      remote[i].push_back({.link = {.up_bps = 1e6 + 2e7 * random.Uniform(), .down_bps = 1e8},
                           .up_bits = 4e4,
                           .prompt_s = 0.02,
                           .answer_s = 0.3 * random.Uniform()});
    pending[i] = {.request = i, .local = local[i], .remote = remote[i], .uncertainty = random.Uniform()};
  }
  const std::vector<ServerState> servers(kServers, {.batch = 32});
  const State state{.servers = servers};
  int64_t delays = 0;
  const double ms = Measure([&] { delays = Goa(pending, state).delays; }).median_ms;
  fmt::print("GOA: {} requests, {} servers in {:.2f} ms, {} delays\n", kRequests, kServers, ms, delays);
}

void TimeAMillion() {
  const SmallWorld small(kPhoneModel, kEdgeModel);
  for (const int64_t seconds : {1'000, 10'000}) {
    const World world = small.Load({"devices.0.count=100", "requests.rate_per_s=1", "network.up_Mbps=100",
                                    "servers.0.batch=32", fmt::format("horizon_s={}", seconds)});
    RunResult run;
    const double took_s = SecondsOf([&] { run = Simulate(world, "latency", {}); });
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    fmt::print(
        "least latency: {} requests of 100 devices in {:.2f} s, {:.2f} M events/s; peak memory {} MB; {:.0f} % "
        "offloaded\n",
        run.completed, took_s, static_cast<double>(run.events) / took_s / 1e6, usage.ru_maxrss / 1024,
        100 * static_cast<double>(run.offloaded) / static_cast<double>(run.measured));
  }
}

}  // namespace
}  // namespace ecld::offload

int main(int argc, char** argv) {
  try {
    ecld::offload::TimeAMillion();
    ecld::offload::BesideSimPy(argc > 1 ? argv[1] : "python3");
    ecld::offload::TimeGoa();
  } catch (const std::exception& error) {
    fmt::print(stderr, "offload_bench: {}\n", error.what());
    return EXIT_FAILURE;
  }
  return EXIT_SUCCESS;
}
