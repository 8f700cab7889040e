// When requests come.

#include "offload/arrivals.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "core/files.h"
#include "core/yaml_reader.h"
#include "offload/reading.h"
#include "tests/testing/expect_error.h"
#include "tests/testing/temp_dir.h"

namespace ecld::offload {
namespace {

RequestSource Load(const std::string& yaml) {
  Options options(ReadYaml(yaml, "req.yaml"), "req.yaml", "requests");
  const LoadRequests load = KindIn(RequestKinds(), options).read(options);
  options.Finish();
  return load();
}

// Counts of windows of a second, over all devices.
std::vector<double> PerSecond(Arrivals& arrivals, size_t seconds) {
  std::vector<double> counts(seconds);
  Nanoseconds before = 0;
  while (const auto arrival = arrivals.Next()) {
    EXPECT_GE(arrival->at, before);
    before = arrival->at;
    const auto second = static_cast<size_t>(Seconds(arrival->at));
    if (second >= seconds) break;
    ++counts[second];
  }
  return counts;
}

// Mean, and variance over it: 1 of a Poisson process.
std::pair<double, double> Dispersion(const std::vector<double>& counts) {
  double mean = 0, variance = 0;
  for (const double count : counts) mean += count / static_cast<double>(counts.size());
  for (const double count : counts) variance += (count - mean) * (count - mean) / static_cast<double>(counts.size());
  return {mean, variance / mean};
}

TEST(Arrivals, PoissonComesAtItsRate) {
  const RequestSource source = Load("{kind: poisson, rate_per_s: 2, prompt_tok: 7, answer_tok: 3}");
  const auto arrivals = source.start(5, 1);
  const Arrival first = *arrivals->Next();
  EXPECT_EQ(first.prompt_tok, 7);
  EXPECT_EQ(first.answer_tok, 3);
  const auto [mean, dispersion] = Dispersion(PerSecond(*source.start(5, 1), 20'000));
  EXPECT_NEAR(mean, 10, 0.1);
  EXPECT_NEAR(dispersion, 1, 0.05);
}

TEST(Arrivals, BurstsComeInBursts) {
  const RequestSource source =
      Load("{kind: bursts, calm_per_s: 1, burst_per_s: 21, calm_s: 30, burst_s: 10, prompt_tok: 1, answer_tok: 1}");
  const auto [mean, dispersion] = Dispersion(PerSecond(*source.start(1, 1), 100'000));
  EXPECT_NEAR(mean, 0.75 * 1 + 0.25 * 21, 0.2);
  EXPECT_GT(dispersion, 5);
  EXPECT_NEAR(Dispersion(PerSecond(*Load("{kind: bursts, calm_per_s: 0, burst_per_s: 4, calm_s: 1, burst_s: 1, "
                                         "prompt_tok: 1, answer_tok: 1}")
                                        .start(1, 2),
                                   20'000))
                  .first,
              2, 0.1);
}

TEST(Arrivals, ATraceIsReplayed) {
  TempDir dir;
  const std::string file = (dir / "trace.csv").string();
  const std::string header = "TIMESTAMP,ContextTokens,GeneratedTokens\n";
  const std::string yaml = fmt::format("{{kind: trace, file: {}}}", file);
  WriteFileAtomically(file, header +
                                "2023-11-16 23:59:59.5000000,374,44\n2023-11-17 00:00:01.7500000,9,109\n"
                                "2023-11-17 00:00:01.7500000,20,0");
  const RequestSource source = Load(yaml);
  EXPECT_EQ(source.longest_prompt_tok, 374);
  EXPECT_EQ(source.typical_prompt_tok, 20);
  EXPECT_EQ(source.longest_answer_tok, 109);
  EXPECT_EQ(source.ends, 2'250'000'000);
  const auto arrivals = source.start(3, 1);
  EXPECT_EQ(arrivals->Next()->at, 0);
  const Arrival second = *arrivals->Next();
  EXPECT_EQ(second.at, 2'250'000'000);
  EXPECT_EQ(second.prompt_tok, 9);
  EXPECT_EQ(second.answer_tok, 109);
  EXPECT_LT(second.device, 3u);
  EXPECT_EQ(arrivals->Next()->answer_tok, 1) << "an answer has a token";
  EXPECT_FALSE(arrivals->Next());

  const auto refuses = [&](const std::string& content, const char* why) {
    WriteFileAtomically(file, content);
    EXPECT_ERROR(Load(yaml), why);
  };
  refuses("a,b\n", "trace.csv:1: expected the columns TIMESTAMP,ContextTokens,GeneratedTokens");
  refuses(header, "has no requests");
  refuses(header + "2023-11-16 23:59:59.5,374,44\n2023-11-16 23:5",
          "trace.csv:3: has 1 cells, 3 would be right; is the file cut off?");
  refuses(header + "2023-11-16 23:59:59.5,374,44\n2023-11-16 23:59:59.1,1,1\n", "trace.csv:3: its time is before");
  refuses(header + "2023-13-16 23:59:59.5,374,44\n", "trace.csv:2: expected a time like");
  refuses(header + "2023-11-16T23:59:59.5,374,44\n", "expected a time like");
  refuses(header + "2023-11-16 23:59:59.5,-3,44\n", "expected a whole number of tokens");
  refuses(header + "2023-11-16 23:59:59.5,3.5,44\n", "expected a whole number of tokens");
}

TEST(Arrivals, TheAzureTraceIsRead) {
  const char* data = std::getenv("ECLD_TEST_DATA");
  const std::string file =
      fmt::format("{}/traces/azure-llm-2023/AzureLLMInferenceTrace_conv.csv", data != nullptr ? data : "");
  if (!std::filesystem::exists(file)) GTEST_SKIP() << "ECLD_TEST_DATA names no folder with traces/azure-llm-2023";
  const RequestSource source = Load(fmt::format("{{kind: trace, file: {}}}", file));
  EXPECT_EQ(source.typical_prompt_tok, 1020);
  EXPECT_EQ(source.longest_prompt_tok, 14050);
  EXPECT_EQ(source.longest_answer_tok, 1000);
  EXPECT_NEAR(Seconds(source.ends), 3501.7, 0.1);
  const auto arrivals = source.start(10, 1);
  int64_t count = 0;
  while (arrivals->Next()) ++count;
  EXPECT_EQ(count, 19'366);
}

TEST(Arrivals, RefusesWhatCannotBe) {
  EXPECT_ERROR(Load("{kind: poisson, rate_per_s: -2, prompt_tok: 7, answer_tok: 3}"),
               "requests.rate_per_s: expected a number");
  EXPECT_ERROR(Load("{kind: poisson, rate_per_s: 2, prompt_tok: 0, answer_tok: 3}"),
               "requests.prompt_tok: expected a whole");
  EXPECT_ERROR(Load("{kind: poisson, rate_per_s: 2, answer_tok: 3}"), "\"prompt_tok\" is missing");
  EXPECT_ERROR(Load("{kind: poison}"), "did you mean poisson");
}

}  // namespace
}  // namespace ecld::offload
