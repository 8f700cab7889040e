// What a recipe file may say, and every message about what it may not.

#include "recipes/recipe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/yaml_reader.h"
#include "tests/testing/expect_error.h"

namespace ecld {
namespace {

using testing::ElementsAre;

constexpr char kRecipe[] = R"(version: 1
name: demo
seed: 7
calibration:
  windows: 8
  window_tok: 128
stages:
  - pass: prune.ffn
    keep: 0.75
  - pass: quantize.round
    bits: 4
    clip: mse
)";

Recipe Parse(const std::string& text, const std::vector<std::string>& overrides = {}) {
  return ParseRecipe(text, "recipe.yaml", overrides);
}

TEST(Recipe, ReadsWhatIsThere) {
  Recipe recipe = Parse(kRecipe);
  EXPECT_EQ(recipe.name, "demo");
  EXPECT_EQ(recipe.seed, 7u);
  EXPECT_EQ(recipe.calibration.windows, 8);
  EXPECT_EQ(recipe.calibration.window_tok, 128);
  EXPECT_EQ(recipe.calibration.seed, 7u);
  ASSERT_EQ(recipe.stages.size(), 2u);
  EXPECT_EQ(recipe.stages[1].pass, "quantize.round");
  EXPECT_EQ(recipe.stages[1].options.Int("bits", 8, 2, 8), 4);
  EXPECT_EQ(recipe.stages[1].options.Where("bits"), "recipe.yaml:11: stages[1].bits");
  EXPECT_EQ(recipe.stages[1].options.Where(), "recipe.yaml:10: stages[1]");
}

TEST(Recipe, ResolvedReadsBackTheSame) {
  Recipe recipe = Parse(kRecipe, {"name=\"12\"", "stages.0.skip=[a, \"b c\", null]"});
  recipe.stages[1].options.Number("damp", 0.01, 0, 1);
  recipe.stages[1].options.Bool("symmetric", true);
  recipe.stages[1].options.Strings("ignore", {"lm_head", "re:.*\\.bias$", ""});
  std::string resolved = recipe.Resolved();
  Recipe again = Parse(resolved);
  EXPECT_EQ(again.Resolved(), resolved);
  Options& options = again.stages[1].options;
  EXPECT_EQ(options.Number("damp", 0.5, 0, 1), 0.01);
  EXPECT_TRUE(options.Bool("symmetric", false));
  EXPECT_THAT(options.Strings("ignore", {}), ElementsAre("lm_head", "re:.*\\.bias$", ""));
  EXPECT_EQ(again.name, "12");
}

TEST(Recipe, ResolvedKeepsControlCharacters) {
  Recipe recipe = Parse("version: 1\nname: \"a\\rb\"\nstages: [{pass: x, \"k\\r\": \"v\\u2028\\x01\\n\"}]\n");
  std::string resolved = recipe.Resolved();
  EXPECT_EQ(Parse(resolved).name, "a\rb");
  EXPECT_EQ(Parse(resolved).Resolved(), resolved);
}

TEST(Recipe, ResolvedDoesNotDependOnStyle) {
  const char* block = "version: 1\nname: a b\nstages:\n  - pass: x\n    list:\n      - p\n      - q\n    none: []\n";
  const char* flow = "{version: 1, name: \"a b\", stages: [{pass: x, list: [p, q], none: []}]}";
  EXPECT_EQ(Parse(block).Resolved(), Parse(flow).Resolved());
}

TEST(Recipe, PathsBecomeAbsolute) {
  Recipe recipe = ParseRecipe(std::string(kRecipe) + "teacher: ../llama\n", "recipe.yaml",
                              {"calibration.text=text.txt"}, "/some/place");
  EXPECT_EQ(recipe.calibration.texts.at(0).path, "/some/place/text.txt");
  EXPECT_EQ(recipe.teacher, "/some/llama");
  EXPECT_EQ(Parse(recipe.Resolved()).teacher, "/some/llama");
}

TEST(Recipe, CalibrationTakesOneFileOrAList) {
  const std::string frame = "version: 1\nstages: [{pass: x}]\n";
  Recipe recipe = ParseRecipe(frame +
                                  "calibration:\n  text:\n    - {path: wiki.txt, weight: 2.5}\n"
                                  "    - {path: chats.jsonl, field: messages, format: json}\n",
                              "recipe.yaml", {"calibration.text.1.weight=3"}, "/some/place");
  const std::vector<TextSource>& texts = recipe.calibration.texts;
  ASSERT_EQ(texts.size(), 2u);
  EXPECT_EQ(texts[0].path, "/some/place/wiki.txt");
  EXPECT_EQ(texts[0].weight, 2.5);
  EXPECT_EQ(texts[0].format, "auto");
  EXPECT_EQ(texts[1].path, "/some/place/chats.jsonl");
  EXPECT_EQ(texts[1].field, "messages");
  EXPECT_EQ(texts[1].format, "json");
  EXPECT_EQ(texts[1].weight, 3);
  const Recipe again = Parse(recipe.Resolved());
  EXPECT_EQ(again.Resolved(), recipe.Resolved());
  EXPECT_EQ(again.calibration.texts.size(), 2u);
  // The command line replaces whichever form stands in the file.
  EXPECT_EQ(ParseRecipe(recipe.Resolved(), "r.yaml", {"calibration.text=\"a.txt\""}).calibration.texts.size(), 1u);
  EXPECT_TRUE(Parse(frame + "calibration: {windows: 3}\n").calibration.texts.empty());
}

struct BadRecipe {
  const char* text;
  const char* message;
};

class BadRecipes : public testing::TestWithParam<BadRecipe> {};

TEST_P(BadRecipes, SaysWhere) { EXPECT_ERROR(Parse(GetParam().text), GetParam().message); }

INSTANTIATE_TEST_SUITE_P(
    Recipe, BadRecipes,
    testing::Values(
        BadRecipe{"", "recipe.yaml: is not a recipe; expected a mapping"},
        BadRecipe{"- pass: x\n", "recipe.yaml: is not a recipe"},
        BadRecipe{"name: x\nstages: [{pass: a}]\n", "recipe.yaml: has no version"},
        BadRecipe{"version: 2\nstages: [{pass: a}]\n", "recipe.yaml:1: version: 2 is not a version"},
        BadRecipe{"version: one\nstages: [{pass: a}]\n", "recipe.yaml:1: version: expected a whole number"},
        BadRecipe{"version: \"1\"\nstages: [{pass: a}]\n", "recipe.yaml:1: version: expected a whole number"},
        BadRecipe{"version: 1\n", "recipe.yaml: has no stages"},
        BadRecipe{"version: 1\nstages: []\n", "recipe.yaml:2: stages: is empty"},
        BadRecipe{"version: 1\nstages: {pass: a}\n", "recipe.yaml:2: stages: expected a list, found a mapping"},
        BadRecipe{"version: 1\nstages:\n  - quantize.round\n",
                  "recipe.yaml:3: stages[0]: expected a mapping of options, found \"quantize.round\""},
        BadRecipe{"version: 1\nstages:\n  - pass: a\n  - bits: 4\n", "recipe.yaml:4: stages[1]: names no pass"},
        BadRecipe{"version: 1\nstages: [{pass: a}]\ncalibation: {}\n",
                  "recipe.yaml:3: unknown key \"calibation\" (did you mean calibration?)"},
        BadRecipe{"version: 1\nstages: [{pass: a}]\ncalibration:\n  windows: 8\n  window: 9\n",
                  "recipe.yaml:5: calibration: unknown key \"window\" (did you mean windows?)"},
        BadRecipe{"version: 1\nstages: [{pass: a}]\ncalibration: {windows: 0}\n",
                  "recipe.yaml:3: calibration.windows: expected a whole number from 1 to 1048576, found \"0\""},
        BadRecipe{"version: 1\nstages: [{pass: a}]\ncalibration: {windows: 99999999999999999999}\n",
                  "calibration.windows: expected a whole number"},
        BadRecipe{"version: 1\nstages: [{pass: a}]\ncalibration: {choice: evenly}\n",
                  "calibration.choice: \"evenly\" is not a choice here (did you mean even?)"},
        BadRecipe{"version: 1\nstages: [{pass: a}]\ncalibration: {text: []}\n",
                  "recipe.yaml:3: calibration.text: is an empty list; name a file"},
        BadRecipe{"version: 1\nstages: [{pass: a}]\ncalibration: {text: [a.txt]}\n",
                  "calibration.text[0]: expected a mapping of options, found \"a.txt\""},
        BadRecipe{"version: 1\nstages: [{pass: a}]\ncalibration:\n  text:\n    - {field: x}\n",
                  "calibration.text[0].path: names no file"},
        BadRecipe{"version: 1\nstages: [{pass: a}]\ncalibration: {text: [{path: a, wight: 2}]}\n",
                  "calibration.text[0]: unknown key \"wight\" (did you mean weight?)"},
        BadRecipe{"version: 1\nstages: [{pass: a}]\ncalibration: {text: [{path: a, weight: 0}]}\n",
                  "calibration.text[0].weight: expected a number from 1e-06 to 1000000, found \"0\""},
        BadRecipe{"version: 1\nstages: [{pass: a}]\ncalibration: {text: [{path: a, format: csv}]}\n",
                  "calibration.text[0].format: \"csv\" is not a choice here"},
        BadRecipe{"version: 1\nname: [a]\nstages: [{pass: a}]\n", "recipe.yaml:2: name: expected text, found a list"},
        BadRecipe{"version: 1\nname: a\xff\n", "recipe.yaml:2: byte 0xff; only plain UTF-8 text is read"},
        BadRecipe{"version: 1\n\nname: a\x01\n", "recipe.yaml:3: byte 0x01; only plain UTF-8 text is read"},
        BadRecipe{"version: 1\nversion: 1\n", "recipe.yaml:2: the key \"version\" appears twice"},
        BadRecipe{"version: 1\nstages: &a\n  - pass: x\n", "recipe.yaml:2: anchors (&name)"},
        BadRecipe{"version: 1\nname: &a x\ndescription: *a\n", "recipe.yaml:2: anchors"},
        BadRecipe{"version: 1\nname: *a\n", "recipe.yaml:2: not valid YAML: the referenced anchor is not defined"},
        BadRecipe{"version: !!int 1\n", "recipe.yaml:1: tags ("},
        BadRecipe{"version: 1\n---\nversion: 1\n", "recipe.yaml: holds more than one YAML document"},
        BadRecipe{"version: 1\n[a]: b\n", "recipe.yaml:2: keys must be plain words"},
        BadRecipe{"version: 1\nstages: [\n", "not valid YAML"},
        BadRecipe{"version: 1\n\tname: x\n", "recipe.yaml:2: not valid YAML"}),
    [](const auto& test) { return fmt::format("recipe{}", test.index); });

TEST(Recipe, HostileSizesAreRefused) {
  EXPECT_ERROR(Parse(std::string(300 * 1024, '#')), "bytes are too many");
  EXPECT_ERROR(Parse("a: " + std::string(100'000, '[')), "nested deeper than 32 levels");
  std::string nested;
  for (int i = 0; i < 400; ++i) nested += "- ";
  EXPECT_ERROR(Parse(nested), "nested deeper than 32 levels");
}

TEST(Overrides, ReachEveryPlace) {
  Recipe recipe = Parse(kRecipe, {"stages.1.bits=3", "stages.1.group_size=32", "seed=9", "calibration.choice=random",
                                  "stages.0.extra.deep=x"});
  EXPECT_EQ(recipe.seed, 9u);
  EXPECT_EQ(recipe.calibration.choice, "random");
  EXPECT_EQ(recipe.stages[1].options.Int("bits", 8, 2, 8), 3);
  EXPECT_EQ(recipe.stages[1].options.Int("group_size", 128, 0, 4096), 32);
  EXPECT_EQ(recipe.stages[0].options.Map("extra").String("deep", ""), "x");
}

TEST(Overrides, AreNamedInErrors) {
  EXPECT_ERROR(Parse(kRecipe, {"calibration.windows=many"}),
               "--set: calibration.windows: expected a whole number from 1 to 1048576, found \"many\"");
  EXPECT_ERROR(Parse(kRecipe, {"sead=1"}), "--set: unknown key \"sead\" (did you mean seed?)");
  EXPECT_ERROR(Parse(kRecipe, {"stages.1.bits"}), "--set stages.1.bits: expected PATH=VALUE");
  EXPECT_ERROR(Parse(kRecipe, {"stages.2.bits=3"}), "index 2 is past the end of a list of 2");
  EXPECT_ERROR(Parse(kRecipe, {"stages.last.bits=3"}), "\"last\" points into a list of 2 and must be an index");
  EXPECT_ERROR(Parse(kRecipe, {"name.x=3"}), "\"x\" lies below the value \"demo\", which has no keys");
  EXPECT_ERROR(Parse(kRecipe, {"stages..bits=3"}), "an empty name in the path");
  EXPECT_ERROR(Parse(kRecipe, {"=3"}), "an empty name in the path");
  EXPECT_ERROR(Parse(kRecipe, {"name=[1"}), "not valid YAML");
}

TEST(Options, RefuseWhatWasNotAskedFor) {
  Options options(ReadYaml("bits: 4\ngroup_sise: 32\n", "r.yaml"), "r.yaml", "stages[0]");
  options.Int("bits", 4, 2, 8);
  options.Int("group_size", 128, 0, 4096);
  EXPECT_ERROR(options.Finish(), "r.yaml:2: stages[0]: unknown key \"group_sise\" (did you mean group_size?)");
}

TEST(Options, TypesAreStrict) {
  Options options(ReadYaml("a: 1.5\nb: yes\nc: .nan\nd: {x: 1}\ne: [1, [2]]\nf:\ng: 4x\n", "r.yaml"), "r.yaml", "s");
  EXPECT_ERROR(options.Int("a", 0, 0, 9), "r.yaml:1: s.a: expected a whole number from 0 to 9, found \"1.5\"");
  EXPECT_ERROR(options.Bool("b", true), "r.yaml:2: s.b: expected true or false, found \"yes\"");
  EXPECT_ERROR(options.Number("c", 0, 0, 1), "r.yaml:3: s.c: expected a number from 0 to 1, found \".nan\"");
  EXPECT_ERROR(options.String("d", ""), "r.yaml:4: s.d: expected text, found a mapping");
  EXPECT_ERROR(options.Strings("e", {}), "r.yaml:5: s.e: expected a list of texts, found a list in it");
  EXPECT_ERROR(options.String("f", ""), "r.yaml:6: s.f: expected text, found nothing");
  EXPECT_ERROR(options.Number("g", 0, 0, 9), "found \"4x\"");
  EXPECT_FALSE(options.Has("h"));
  options.Int("h", 3, 0, 9);
  EXPECT_FALSE(options.Has("h"));
}

}  // namespace
}  // namespace ecld
