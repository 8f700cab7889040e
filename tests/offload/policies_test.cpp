// Policies as pure functions: GOA beside exhaustive search and by its properties, the others by hand.

#include "offload/policies.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "core/random.h"
#include "tests/testing/expect_error.h"

namespace ecld::offload {
namespace {

constexpr double kStretch[] = {1, 1.1, 1.25, 1.4, 1.6, 1.8, 2.1, 2.4};

// Requests that wait at one moment, and what is known of where they may go.
struct Question {
  std::vector<std::vector<LocalOption>> local;
  std::vector<std::vector<RemoteOption>> remote;
  std::vector<ServerState> servers;
  std::vector<Pending> pending;
  State state;

  // After the vectors are as they should be.
  void Join() {
    for (size_t i = 0; i < pending.size(); ++i)
      std::tie(pending[i].local, pending[i].remote) = std::tie(local[i], remote[i]);
    state.servers = servers;
  }

  std::vector<Decision> Ask(std::string_view policy) const {
    std::vector<Decision> decisions(pending.size());
    FindPolicy(policy, "test").decide(pending, state, decisions);
    return decisions;
  }
};

Question RandomQuestion(size_t n, size_t m, uint64_t seed) {
  Random random(seed);
  const auto between = [&](double low, double high) { return low + (high - low) * random.Uniform(); };
  Question made;
  for (size_t j = 0; j < m; ++j)
    made.servers.push_back({.senders = static_cast<int64_t>(random.Below(3)),
                            .occupied = static_cast<int64_t>(random.Below(4)),
                            .batch = 8,
                            .wait_s = between(0, 0.5),
                            .stretch = kStretch});
  for (size_t i = 0; i < n; ++i) {
    made.local.push_back({{.wait_s = between(0, 1), .run_s = between(0.2, 4), .joules = between(1, 5)}});
    made.remote.emplace_back();
    for (size_t j = 0; j < m; ++j)
      made.remote.back().push_back(
          {.link = {.up_bps = between(1e5, 2e7), .down_bps = 5e7, .rtt_s = between(0.005, 0.05)},
           .up_bits = between(1e4, 2e5),
           .down_bits = 1e4,
           .prompt_s = between(0.01, 0.2),
           .answer_s = between(0.1, 1)});
    made.pending.push_back({.request = i, .uncertainty = random.Uniform(), .send_W = 1});
  }
  made.Join();
  return made;
}

TEST(Goa, IsCloseToTheLeastCost) {
  double sum = 0, worst = 0;
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    const Question question = RandomQuestion(1 + seed % 6, 1 + seed / 6 % 2, seed);
    const Assignment goa = Goa(question.pending, question.state);
    const Assignment best = Exhaustive(question.pending, question.state);
    ASSERT_GE(goa.cost_s, best.cost_s * (1 - 1e-12));
    sum += goa.cost_s / best.cost_s - 1;
    worst = std::max(worst, goa.cost_s / best.cost_s - 1);
  }
  RecordProperty("mean_gap", std::to_string(sum / 200));
  EXPECT_LE(sum / 200, 0.02);
  EXPECT_LE(worst, 0.15);
}

TEST(Goa, StaysWithoutALinkAndGoesToAServerThatTakesNoTime) {
  Question question = RandomQuestion(12, 3, 5);
  for (auto& options : question.remote)
    for (RemoteOption& option : options) option.link.up_bps = 0;
  EXPECT_EQ(Goa(question.pending, question.state).place, std::vector<int>(12, kLocal));
  for (auto& options : question.remote)
    for (RemoteOption& option : options) option = {.link = {.up_bps = 1e15, .down_bps = 1e15}};
  for (ServerState& server : question.servers) server.wait_s = 0;
  for (const int place : Goa(question.pending, question.state).place) EXPECT_NE(place, kLocal);
}

TEST(Goa, DoesNotDependOnTheOrder) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    Question question = RandomQuestion(20, 3, seed);
    // Requests that are alike: the tie goes by number.
    question.local[3] = question.local[11];
    question.remote[3] = question.remote[11];
    question.pending[3].uncertainty = question.pending[11].uncertainty;
    question.Join();
    const std::vector<int> place = Goa(question.pending, question.state).place;
    std::vector<size_t> order(20);
    std::iota(order.begin(), order.end(), size_t{0});
    Random random(seed);
    for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random.Below(i)]);
    std::vector<Pending> shuffled;
    for (const size_t i : order) shuffled.push_back(question.pending[i]);
    const std::vector<int> again = Goa(shuffled, question.state).place;
    for (size_t i = 0; i < order.size(); ++i) EXPECT_EQ(again[i], place[order[i]]) << seed;
  }
}

TEST(Goa, LessSureStaysOffloaded) {
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    Question question = RandomQuestion(10, 2, seed);
    for (size_t i = 0; i < 10; ++i) {
      bool before = false;
      for (const double uncertainty : {0.0, 0.25, 0.5, 0.75, 1.0}) {
        question.pending[i].uncertainty = uncertainty;
        const bool goes = Goa(question.pending, question.state).place[i] != kLocal;
        EXPECT_TRUE(goes || !before) << "seed " << seed << ", request " << i << " at " << uncertainty;
        before = goes;
      }
    }
  }
}

// The published count is N^3 M^2: gaps of all pairs anew in each round. Ours stays below it, and falls behind it as
// servers are added, since only what a newcomer changes is reckoned anew: N^2 M + N^3 at most.
TEST(Goa, ReckonsFewerDelaysThanNCubedMSquared) {
  for (const size_t m : {1, 3, 10}) {
    int64_t before = 0;
    for (const size_t n : {25, 50, 100, 200}) {
      Question question = RandomQuestion(n, m, n);
      for (ServerState& server : question.servers) server = {.batch = 1000, .stretch = {}};
      question.Join();
      const int64_t delays = Goa(question.pending, question.state).delays;
      EXPECT_LT(delays, static_cast<int64_t>(n * n * n * m * m));
      EXPECT_LE(delays, static_cast<int64_t>(n * n * m + n * n * n));
      EXPECT_TRUE(before == 0 || delays <= 8 * before) << n << " requests, " << m << " servers";
      before = delays;
    }
  }
}

TEST(Exhaustive, RefusesWhatItWouldNotFinish) {
  const Question question = RandomQuestion(30, 2, 1);
  EXPECT_ERROR(question.Ask("exhaustive"), "30 requests at once and 2 servers make more than");
}

TEST(Policies, SimpleOnesDoWhatTheySay) {
  Question question;
  question.servers = {{.batch = 4, .wait_s = 1}, {.batch = 4, .wait_s = 0}};
  question.local = {{{.run_s = 0.5, .joules = 9, .worth = {.right = 0.7}}, {.run_s = 0.2, .worth = {.right = 0.4}}},
                    {{.run_s = 5, .joules = 9, .worth = {.right = 0.3}}}};
  const std::vector<RemoteOption> remote = {
      {.link = {.up_bps = 9e6, .down_bps = 1e9}, .up_bits = 9e4, .worth = {.right = 0.9}},
      {.link = {.up_bps = 1e6, .down_bps = 1e9}, .up_bits = 9e4, .worth = {.right = 0.8}}};
  question.remote = {remote, remote};
  question.pending = {{.request = 0, .draw = 0.0}, {.request = 1, .draw = 0.99}};
  question.Join();
  const auto places = [&](std::string_view policy) {
    std::vector<int> found;
    for (const Decision& decision : question.Ask(policy)) found.push_back(decision.place);
    return found;
  };
  EXPECT_EQ(places("local"), (std::vector<int>{kLocal, kLocal}));
  EXPECT_EQ(places("nearest"), (std::vector<int>{0, 0}));
  EXPECT_EQ(places("random"), (std::vector<int>{kLocal, 1}));
  EXPECT_EQ(places("threshold"), (std::vector<int>{kLocal, 1})) << "0.3 is below 0.5; server 1 answers first";
  EXPECT_EQ(places("latency"), (std::vector<int>{1, 1})) << "90 ms there; 200 ms with the quicker variant";
  for (auto& options : question.remote)
    for (RemoteOption& option : options) option.link.rtt_s = 1;
  EXPECT_EQ(question.Ask("latency")[0].variant, 1);
  EXPECT_EQ(FindPolicy("goa", "test").probes, true);
  EXPECT_ERROR(FindPolicy("nearst", "test"), "did you mean nearest");
}

TEST(DriftPlusPenalty, FollowsTheDebts) {
  Question question = RandomQuestion(1, 1, 3);
  question.local = {{{.run_s = 1, .joules = 10, .worth = {.right = 0.5, .hallucinated = 0.4}}}};
  question.remote[0][0] = {.link = {.up_bps = 1e6, .down_bps = 1e9, .rtt_s = 2},
                           .up_bits = 1e5,
                           .worth = {.right = 0.9, .hallucinated = 0.1}};
  question.servers = {{.batch = 1}};
  question.Join();
  const auto goes = [&] { return question.Ask("drift")[0].place == 0; };
  EXPECT_FALSE(goes()) << "1 s is less than 2.1 s";
  question.state.accuracy_debt = 3;  // (0.9 - 0.5) * 3 > 1.1 s
  EXPECT_TRUE(goes());
  question.state.accuracy_debt = 0;
  question.state.hallucination_debt = 4;
  EXPECT_TRUE(goes());
  question.state.hallucination_debt = 0;
  question.pending[0].energy_debt_J = 0.2;
  EXPECT_TRUE(goes());
  question.state.weights.latency = 100;
  EXPECT_FALSE(goes()) << "seconds count more than the debt now";
}

}  // namespace
}  // namespace ecld::offload
