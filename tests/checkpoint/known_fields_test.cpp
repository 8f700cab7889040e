#include "checkpoint/known_fields.h"

#include <gmock/gmock.h>

#include "checkpoint/model_fields.h"
#include "core/files.h"
#include "tests/testing/expect_error.h"
#include "tests/testing/temp_dir.h"

namespace ecld {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr KnownField kFields[] = {
    {"bits", FieldUse::kApplied},
    {"dropout", FieldUse::kNoEffect, "training"},
    {"beams", FieldUse::kTold, "beam search", "1"},
    {"rotated", FieldUse::kRefused, "a rotation", "false"},
};

std::vector<std::string> Tell(const Json& json) { return TellFields(JsonView(json, "c.json", "q"), {kFields}); }

TEST(KnownFields, UnknownOnesAreListedOnceAndTogether) {
  EXPECT_THAT(Tell({{"bits", 4}, {"dropout", 0.1}}), IsEmpty());
  EXPECT_THAT(Tell({{"new", 1}, {"bits", 4}, {"newer", nullptr}}),
              ElementsAre("fields that are not known and passed over: new, newer"));
}

TEST(KnownFields, WhatAsksForNothingIsNotTold) {
  for (const Json& idle : {Json(nullptr), Json(1), Json(1.0), Json::array(), Json::object()})
    EXPECT_THAT(Tell({{"beams", idle}}), IsEmpty()) << idle;
  EXPECT_THAT(Tell({{"beams", 4}}), ElementsAre("beams 4 is passed over; it asks for beam search"));
}

TEST(KnownFields, WhatWouldBeAnotherModelIsRefused) {
  EXPECT_THAT(Tell({{"rotated", false}}), IsEmpty());
  EXPECT_ERROR(Tell({{"rotated", true}}),
               "c.json: q.rotated: true asks for a rotation, which is not supported; expected false");
}

TEST(KnownFields, WhereEveryFieldCountsAnUnknownOneIsRefused) {
  const Json good = {{"bits", 4}}, bad = {{"bots", 4}};
  EXPECT_NO_THROW(RequireKeys(JsonView(good, "c.json"), {"bits", "beams"}));
  EXPECT_ERROR(RequireKeys(JsonView(bad, "c.json"), {"bits", "beams"}),
               "c.json: key \"bots\" is unknown (did you mean bits?)");
}

TEST(ModelFields, AttentionToLaterTokensIsRefused) {
  const Json causal = {{"is_causal", true}}, both = {{"is_causal", false}};
  EXPECT_THAT(ConfigNotes(JsonView(causal, "c.json"), Family::kLlama), IsEmpty());
  EXPECT_ERROR(ConfigNotes(JsonView(both, "c.json"), Family::kLlama), "is_causal: false asks for attention to later");
}

TEST(ModelFields, OfConfigByFamily) {
  const Json windowed = {{"sliding_window", 8}, {"attention_bias", false}};
  const JsonView view(windowed, "config.json");
  EXPECT_THAT(ConfigNotes(view, Family::kLlama),
              ElementsAre("fields that are not known and passed over: sliding_window"));
  EXPECT_THAT(ConfigNotes(view, Family::kMistral),
              ElementsAre("fields that are not known and passed over: attention_bias"));
  EXPECT_THAT(ConfigNotes(view, Family::kQwen3), IsEmpty());
  const Json encoder = {{"is_encoder_decoder", true}};
  EXPECT_ERROR(ConfigNotes(JsonView(encoder, "c"), Family::kLlama),
               "c: is_encoder_decoder: true asks for an encoder beside the decoder");
}

TEST(ModelFields, OfTheFilesBeside) {
  TempDir dir;
  EXPECT_THAT(SideFileNotes(dir.path()), IsEmpty());
  WriteFileAtomically(dir / "tokenizer_config.json",
                      R"({"bos_token": "<s>", "image_token": "<i>", "colour": 1, "model_max_length": 8})");
  WriteFileAtomically(dir / "generation_config.json", R"({"num_beams": 4, "do_sample": true, "mood": "good"})");
  EXPECT_THAT(SideFileNotes(dir.path()),
              ElementsAre("tokenizer_config.json: fields that are not known and passed over: colour",
                          "generation_config.json: fields that are not known and passed over: mood",
                          "generation_config.json: num_beams 4 is passed over; it asks for beam search"));
  WriteFileAtomically(dir / "tokenizer_config.json", R"({"sp_model_kwargs": {"enable_sampling": true}})");
  EXPECT_ERROR(SideFileNotes(dir.path()),
               "sp_model_kwargs: {\"enable_sampling\":true} asks for sampled splits of words");
}

}  // namespace
}  // namespace ecld
