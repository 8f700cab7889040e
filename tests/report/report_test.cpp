#include "report/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "core/files.h"
#include "report/report_charts.h"
#include "tests/profile/small_profile.h"
#include "tests/testing/expect_error.h"
#include "tests/testing/temp_dir.h"

namespace ecld {
namespace {

using testing::HasSubstr;
using testing::Not;

Json ModelSection(const char* sha256, const char* directory) {
  return {{"directory", directory}, {"config_sha256", "0"}, {"weights_sha256", sha256}, {"format", "W4 g32"},
          {"weights_B", 75718576},  {"interleaved_B", 0},   {"params", 134515008}};
}

Json MetricOf(const char* name, double value, double low, double high) {
  return {{"name", name},        {"value", value}, {"unit", "1"}, {"kind", "measured"},
          {"scorer", "harness"}, {"n", 60},        {"se", 0.01},  {"ci95", {low, high}}};
}

Json TasksResultJson(const char* sha256, const char* directory, double accuracy) {
  Json json = {{"schema", "ecld.tasks"}, {"schema_version", "1.0.0"}, {"model", ModelSection(sha256, directory)}};
  Json task = {{"task", "piqa"}, {"metrics", {MetricOf("acc", accuracy, accuracy - 0.125, accuracy + 0.125)}}};
  task["uncertainty"]["aggregates"]["mean"] = {
      {"auroc", 0.71875}, {"risk_coverage", {{0.25, 1.0, 0.1}, {0.5, 0.75, 0.2}, {1.0, 0.5, 0.9}}}};
  json["tasks"] = Json::array({task});
  Json rate = MetricOf("imitative_falsehood", 0.4921875, 0.4, 0.6);
  rate["task"] = "truthfulqa_mc2";
  json["hallucination"] = {
      {"metrics", {rate}},
      {"new_errors", {{"n", 60}, {"new_errors", 4}, {"fixed_errors", 6}, {"new_error_rate", -0.03125}, {"p", 0.75}}}};
  return json;
}

Json ScorecardJson(const char* sha256) {
  return {{"schema", "ecld.scorecard"},
          {"schema_version", "1.0.0"},
          {"scorecards",
           {{{"variant", "small"},
             {"device", "board"},
             {"weights_sha256", sha256},
             {"figures",
              {{{"metric", "energy"},
                {"name", "per token, context 64"},
                {"value", 0.1875},
                {"unit", "J"},
                {"kind", "modelled"},
                {"interval", {0.125, 0.25}},
                {"n", 3},
                {"method", "cpu"}},
               {{"metric", "accessibility"},
                {"name", "bytes to store"},
                {"value", nullptr},
                {"unit", "B"},
                {"kind", "not measured"},
                {"interval", nullptr},
                {"n", 0},
                {"method", ""}}}}}}}};
}

Json RunJson() {
  return {{"schema", "ecld.report"},
          {"schema_version", "1.0.0"},
          {"recipe", {{"name", "budget"}}},
          {"stages",
           {{{"pass", "quantize.allocate"},
             {"details",
              {{"formats", {"W4 g32", "W2 g32"}},
               {"units",
                {{{"name", "model.layers.0.mlp.down_proj"}, {"kl_nats", {0.001, 0.02}}},
                 {{"name", "model.layers.7.mlp.down_proj"}, {"kl_nats", {0.002, 0.05}}},
                 {{"name", "model.embed_tokens"}, {"kl_nats", {0.003, 0.5}}}}}}}}}}};
}

Json PrunedRunJson() {
  const Json ffn = {{{"kept_channels", 64}, {"of", 64}}, {{"kept_channels", 16}, {"of", 64}}};
  const Json heads = {{{"kept_heads", {0, 2}}, {"of", 3}}, {{"kept_heads", {1}}, {"of", 3}}};
  Json json = {{"schema", "ecld.report"}, {"schema_version", "1.0.0"}, {"recipe", {{"name", "cut"}}}};
  json["stages"] = {{{"pass", "prune.ffn"}, {"details", {{"blocks", ffn}}}},
                    {{"pass", "prune.heads"}, {"details", {{"blocks", heads}}}}};
  return json;
}

class ReportTest : public testing::Test {
 protected:
  std::filesystem::path Put(const char* name, const Json& json) {
    WriteJsonFile(dir_ / name, json);
    return dir_ / name;
  }
  TempDir dir_;
};

size_t Count(const std::string& text, const std::string& part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

TEST_F(ReportTest, WhatHasTheSameWeightsIsOneCheckpoint) {
  DeviceProfile profile = SmallProfile();
  profile.variant["weights_sha256"] = "aa";
  WriteProfile(dir_ / "p", profile);
  const Report report = ReadReport({Put("a.json", TasksResultJson("aa", "models/dense/", 0.5)),
                                    Put("b.json", TasksResultJson("bb", "w4", 0.375)),
                                    Put("cards.json", ScorecardJson("bb")), dir_ / "p", Put("run.json", RunJson())});
  ASSERT_EQ(report.subjects.size(), 2u);
  EXPECT_EQ(report.subjects[0].name, "tiny-w4") << "as its profile calls it";
  EXPECT_EQ(report.subjects[0].profiles.size(), 1u);
  EXPECT_EQ(report.subjects[1].name, "w4");
  EXPECT_EQ(report.subjects[1].Find("accuracy", "piqa, acc")->value, 0.375);
  EXPECT_EQ(report.subjects[1].Find("energy", "per token, context 64")->kind, "modelled");
  EXPECT_FALSE(report.subjects[1].Find("accessibility", "bytes to store")->value);
  EXPECT_EQ(report.subjects[1].Find("hallucination", "new errors less fixed ones, against the original")->value,
            -0.03125);
  ASSERT_EQ(report.subjects[0].curves.size(), 1u);
  EXPECT_EQ(report.subjects[0].curves[0].points[1], (std::pair{0.5, 0.75}));
  ASSERT_EQ(report.runs.size(), 1u);
  EXPECT_EQ(report.runs[0].rows[1].kl_nats, (std::vector{0.002, 0.05}));
  EXPECT_EQ(report.sources.size(), 5u);
}

TEST_F(ReportTest, WhatWasCutIsShownByBlock) {
  const Report report = ReadReport({Put("run.json", PrunedRunJson())});
  ASSERT_EQ(report.pruned.size(), 2u);
  EXPECT_EQ(report.pruned[0].name, "cut, prune.ffn");
  EXPECT_EQ(report.pruned[0].kept[0], (std::pair<std::string, std::vector<double>>("FFN", {1, 0.25})));
  ASSERT_EQ(report.pruned[1].kept.size(), 3u);
  EXPECT_EQ(report.pruned[1].kept[1], (std::pair<std::string, std::vector<double>>("head 1", {0, 1})));
  const std::string html = ReportHtml(report);
  EXPECT_THAT(html, HasSubstr("<h2>What was cut</h2>"));
  EXPECT_THAT(html, HasSubstr("<title>FFN 1: 0.25</title>"));
  EXPECT_EQ(Count(html, "class=\"cell\""), 2u + 6u);
  EXPECT_EQ(WriteCharts(report, dir_ / "charts").size(), 2u);
  Json wrong = PrunedRunJson();
  wrong["stages"][1]["details"]["blocks"][0]["kept_heads"][1] = 3;
  EXPECT_ERROR(ReadReport({Put("wrong.json", wrong)}),
               "stages[1].details.blocks[0].kept_heads[1]: expected a head below 3, found 3");
}

TEST_F(ReportTest, AProfileBringsTheScoresItHas) {
  DeviceProfile profile = SmallProfile();
  Table phase(FindTableSchema("phase", "test"));
  AddPhase(phase, 1, 16, 10);
  phase.Set("mem_peak_B", int64_t{5000});
  profile.tables.at("phase").table = phase;
  WriteProfile(dir_ / "p", profile);
  const ReportSubject subject = ReadReport({dir_ / "p"}).subjects[0];
  EXPECT_EQ(subject.Find("accessibility", "weights")->value, 1000);
  EXPECT_EQ(subject.Find("accessibility", "peak memory, resident, prompt of 16")->value, 5000);
  EXPECT_EQ(subject.Find("accessibility", "weights")->kind, "measured");
  EXPECT_EQ(subject.Find("accuracy", "no scores in this profile"), nullptr);
  EXPECT_EQ(subject.Find("energy", "per query")->kind, "not measured");
  EXPECT_NE(subject.Find("accessibility", "devices that can run it at context 64")->n, 1);
  WriteFileAtomically(dir_ / "mine.yaml",
                      "devices: [{id: only, name: One, kind: board, mem_GB: 1, sources: [the test]}]");
  EXPECT_EQ(ReadReport({dir_ / "p"}, dir_ / "mine.yaml")
                .subjects[0]
                .Find("accessibility", "devices that can run it at context 64")
                ->n,
            1);
}

TEST_F(ReportTest, AFolderIsReadWholeAndOtherFilesInItArePassedOver) {
  Put("a.json", TasksResultJson("aa", "dense", 0.5));
  Put("other.json", {{"schema", "ecld.bench"}});
  WriteFileAtomically(dir_ / "notes.txt", "not JSON");
  WriteProfile(dir_ / "p", SmallProfile());
  const Report report = ReadReport({dir_.path()});
  EXPECT_EQ(report.subjects.size(), 2u);
  EXPECT_EQ(report.sources.size(), 2u);
}

TEST_F(ReportTest, ThePageHasTheNumbersOfTheFilesWithUnitKindAndInterval) {
  DeviceProfile profile = SmallProfile();
  profile.variant["weights_sha256"] = "aa";
  WriteProfile(dir_ / "p", profile);
  const std::string html = ReportHtml(
      ReadReport({Put("a.json", TasksResultJson("aa", "dense", 0.5)), Put("b.json", TasksResultJson("bb", "w4", 0.375)),
                  Put("cards.json", ScorecardJson("bb")), dir_ / "p", Put("run.json", RunJson())}));
  for (const char* number : {"<data value=\"0.5\">0.5</data>", "<data value=\"0.375\">0.375</data>",
                             "<data value=\"0.25\">0.25</data> \xe2\x80\x93 <data value=\"0.5\">0.5</data>",
                             "<data value=\"0.4921875\">0.4922</data>", "<data value=\"-0.03125\">-0.03125</data>",
                             "<data value=\"0.1875\">0.1875</data>", "<data value=\"75718576\">75.7 MB</data>"})
    EXPECT_THAT(html, HasSubstr(number));
  EXPECT_THAT(html, HasSubstr("per token, context 64, J <small>modelled, n = 3"));
  EXPECT_THAT(html, HasSubstr("piqa, acc <small>measured, n = 60"));
  EXPECT_THAT(html, HasSubstr("4 new, 6 fixed; McNemar&#39;s exact p 0.75"));
  EXPECT_THAT(html, HasSubstr("not measured"));
  EXPECT_THAT(html, HasSubstr("tiny-w4 0.719; w4 0.719."));
  for (const char* title : {"Accuracy", "Hallucination", "Energy", "Accessibility", "Size, quality, energy",
                            "Sensitivity by layer", "Risk and coverage", "Latency", "Sources"})
    EXPECT_THAT(html, HasSubstr(fmt::format("<h2>{}</h2>", title)));
  const size_t glance = html.find("<h2>At a glance</h2>"), scores = html.find("<h2>Accuracy</h2>");
  ASSERT_LT(glance, scores) << "what sums the others up comes first";
  const std::string first = html.substr(glance, scores - glance);
  EXPECT_THAT(first, HasSubstr("<data value=\"-0.03125\">-0.03125</data>"));
  EXPECT_THAT(first, Not(HasSubstr("piqa, acc")));
  // Two of quality against size, two against energy, sensitivity, risk, two of latency.
  EXPECT_EQ(Count(html, "<svg class=\"chart\""), 8u);
  EXPECT_EQ(Count(html, "class=\"absent\""), 0u);
  EXPECT_EQ(
      html,
      ReportHtml(ReadReport({dir_ / "a.json", dir_ / "b.json", dir_ / "cards.json", dir_ / "p", dir_ / "run.json"})));
}

TEST_F(ReportTest, ManyCheckpointsAreCountedInTheTitle) {
  std::vector<std::filesystem::path> files;
  for (const char* name : {"a", "b", "c", "d", "e", "f", "g"}) {
    EXPECT_EQ(Count(files.empty() ? "" : ReportHtml(ReadReport(files)), " checkpoints</title>"), 0u) << name;
    files.push_back(Put(fmt::format("{}.json", name).c_str(), TasksResultJson(name, name, 0.5)));
  }
  EXPECT_THAT(ReportHtml(ReadReport(files)), HasSubstr("<title>ECLD report: 7 checkpoints</title>"));
}

TEST_F(ReportTest, WhatIsAbsentIsSaid) {
  const std::string html = ReportHtml(ReadReport({Put("run.json", RunJson())}));
  EXPECT_EQ(Count(html, "class=\"absent\""), 7u) << "all sections but that of sensitivity";
  EXPECT_THAT(html, HasSubstr("No device profile was given."));
  EXPECT_THAT(html, HasSubstr("not in a block: model.embed_tokens"));
}

Json OffloadJson() {
  const auto policy = [](const char* name, double latency_s) {
    return Json{{"policy", name},
                {"metrics",
                 {{{"name", "latency_mean"}, {"value", latency_s}, {"ci95", {latency_s - 0.1, latency_s + 0.1}}},
                  {{"name", "energy"}, {"unit", "J/request"}, {"value", 2.5}, {"ci95", nullptr}}}},
                {"queues", {{"at_s", {0, 1}}, {"on_devices", {0, 2}}, {"sending", {1, 0}}, {"on_servers", {0, 3}}}}};
  };
  const Json policies = {policy("local", 1.5), policy("goa <1>", 0.75)};
  return NewDocument(
      kOffloadDocument,
      {{"scenario", {{"name", "home"}}},
       {"replications", 20},
       {"modelled", {"the network: radio"}},
       {"findings", {"at 46 Mbit/s the <round trip> bounds it"}},
       {"pictures",
        {{{"title", "hits over storage"},
          {"x", "MB"},
          {"y", "share"},
          {"series", {{{"name", "greedy"}, {"x", {0, 5, 10}}, {"y", {0, 0.5, 1}}, {"step", true}}}}}}},
       {"swept", "devices.0.count"},
       {"points", {{{"value", "5"}, {"policies", policies}}, {{"value", "10"}, {"policies", policies}}}}});
}

TEST_F(ReportTest, PoliciesOfOffloadingStandSideBySide) {
  const Report report = ReadReport({Put("offload.json", OffloadJson())});
  const std::string html = ReportHtml(report);
  EXPECT_THAT(html, HasSubstr("<h2>Offloading</h2>"));
  EXPECT_THAT(html, HasSubstr("simulated, 20 runs of each policy"));
  EXPECT_THAT(html, HasSubstr("Not measured: the network: radio."));
  EXPECT_THAT(html, HasSubstr("goa &lt;1&gt;"));
  EXPECT_THAT(html, HasSubstr("<p>at 46 Mbit/s the &lt;round trip&gt; bounds it</p>"));
  EXPECT_THAT(html, HasSubstr("hits over storage: home"));
  // A picture; latency against energy, over users; queues of two policies at two values. No accuracy is known.
  EXPECT_EQ(Count(html, "<svg class=\"chart\""), 7u);
  std::set<std::filesystem::path> charts;
  for (const auto& chart :
       WriteCharts(ReadReport({dir_ / "offload.json", Put("again.json", OffloadJson())}), dir_ / "charts"))
    EXPECT_TRUE(charts.insert(chart).second) << chart << " is written twice";
  EXPECT_EQ(charts.size(), 14u);
  Json short_queue = OffloadJson();
  short_queue["points"][0]["policies"][0]["queues"]["sending"] = {1};
  EXPECT_ERROR(ReadReport({Put("x.json", short_queue)}), "queues.sending: has 1 counts, one for each of the 2 times");
  Json short_line = OffloadJson();
  short_line["pictures"][0]["series"][0]["y"] = {1};
  EXPECT_ERROR(ReadReport({Put("x.json", short_line)}), "series[0].y: has 1 numbers, one for each of the 3 of x");
}

TEST_F(ReportTest, MetricsOfPoliciesThatWereComparedStandInATable) {
  Json compared = OffloadJson();
  compared["swept"] = nullptr;
  compared["points"].erase(1);
  compared["points"][0]["value"] = nullptr;
  compared["points"][0]["policies"][1]["metrics"].erase(1);
  compared["points"][0]["policies"][0]["metrics"][1]["unit"] = "J/answer";
  const std::string html = ReportHtml(ReadReport({Put("offload.json", compared)}));
  EXPECT_THAT(html, HasSubstr("<th scope=\"row\">energy, J/answer</th><td><data value=\"2.5\">2.5</data></td>"
                              "<td class=\"absent\">not known</td>"));
  EXPECT_THAT(html, HasSubstr("latency against energy of the device, J per answer: home"));
  EXPECT_EQ(Count(html, ">local</text>"), 1u) << "beside its point, not in a legend as well";
}

TEST_F(ReportTest, ThePageAsksForNothingAndTextsStayTexts) {
  const char* evil = "<script src=\"http://example.org/x.js\">alert(1)</script>";
  const std::string html = ReportHtml(
      ReadReport({Put("a.json", TasksResultJson("aa", "x/\"><img src=x onerror=alert(1)>", 0.5)), Put("b.json", [&] {
                    Json card = ScorecardJson("bb");
                    card["scorecards"][0]["variant"] = evil;
                    card["scorecards"][0]["figures"][0]["name"] = evil;
                    card["scorecards"][0]["figures"][0]["method"] = evil;
                    card["scorecards"][0]["figures"][0]["kind"] = "\" onclick=\"";
                    return card;
                  }())}));
  for (const char* active :
       {"<script", "<img", "<link", "<iframe", "<object", "@import", "url(", " src=\"", " href", "\" onclick"})
    EXPECT_THAT(html, Not(HasSubstr(active))) << active;
  EXPECT_THAT(html, HasSubstr("&lt;script src=&quot;http://example.org/x.js&quot;&gt;alert(1)&lt;/script&gt;"));
}

TEST_F(ReportTest, WhatCannotBeReadIsRefused) {
  EXPECT_ERROR(ReadReport({}), "report: names nothing to report on");
  EXPECT_ERROR(ReadReport({Put("x.json", {{"schema", "ecld.bench"}})}),
               "x.json: its schema is \"ecld.bench\"; a report is made of");
  EXPECT_ERROR(ReadReport({Put("x.json", Json::array())}), "its schema is \"\"");
  std::filesystem::create_directory(dir_ / "empty");
  EXPECT_ERROR(ReadReport({dir_ / "empty"}), "empty: holds no result of");
  Json newer = TasksResultJson("aa", "dense", 0.5);
  newer["schema_version"] = "2.0.0";
  EXPECT_ERROR(ReadReport({Put("x.json", newer)}),
               "x.json: schema_version: version \"2.0.0\" is not known here; 1.x is");
  Json broken = TasksResultJson("aa", "dense", 0.5);
  broken["tasks"][0]["metrics"][0]["value"] = "high";
  EXPECT_ERROR(ReadReport({Put("x.json", broken)}), "tasks[0].metrics[0].value: expected a number");
  Json short_row = RunJson();
  short_row["stages"][0]["details"]["units"][1]["kl_nats"] = {1.0};
  EXPECT_ERROR(ReadReport({Put("x.json", short_row)}), "kl_nats: has 1 values, one for each of the 2 formats");
  WriteFileAtomically(dir_ / "x.json", "{\"schema\": ");
  EXPECT_ERROR(ReadReport({dir_ / "x.json"}), "not valid JSON");
}

}  // namespace
}  // namespace ecld
