#include "cli/device/sampling_flags.h"

#include <CLI/CLI.hpp>
#include <charconv>
#include <utility>

#include "core/error.h"
#include "core/log.h"

namespace ecld {
namespace {

std::pair<int32_t, float> ParseBias(const std::string& text) {
  std::pair<int32_t, float> bias{-1, 0};
  const size_t sign = text.find('=');
  const char *begin = text.data(), *end = begin + text.size();
  if (sign != std::string::npos) {
    const auto id = std::from_chars(begin, begin + sign, bias.first);
    const auto value = std::from_chars(begin + sign + 1, end, bias.second);
    if (id.ec == std::errc() && id.ptr == begin + sign && value.ec == std::errc() && value.ptr == end &&
        bias.first >= 0)
      return bias;
  }
  Fail("--logit-bias", "\"{}\" is not a token id and what is added to its logit, like 5=-2.5", text);
}

}  // namespace

SamplingValues GenerationConfigFlag::Read(const std::filesystem::path& directory) const {
  if (!ask_file) return {};
  const SamplingValues values = ReadSamplingDefaults(directory);
  if (const std::string text = values.Text(); !text.empty())
    LogInfo("where nothing else is asked for, tokens are drawn as generation_config.json says: {}", text);
  return values;
}

void AddGenerationConfigFlag(CLI::App& verb, GenerationConfigFlag* flag) {
  verb.add_option_function<std::string>(
          "--generation-config", [flag](const std::string& name) { flag->ask_file = name == "model"; },
          "model: tokens are drawn as the model's generation_config.json says, unless asked otherwise; none: it is not "
          "asked (default: model)")
      ->check(CLI::IsMember({"model", "none"}));
}

SamplerOptions SamplingFlags::Options(const std::filesystem::path& directory) const {
  SamplerOptions options;
  options.Set(values.Or(file.Read(directory)));
  options.seed = seed;
  for (const std::string& text : logit_bias) options.logit_bias.push_back(ParseBias(text));
  return options;
}

void AddSamplingFlags(CLI::App& verb, SamplingFlags* flags) {
  SamplingValues& values = flags->values;
  verb.add_option("--temperature", values.temperature,
                  "0: always the most likely token (default: what the model's generation_config.json says, else 0)");
  verb.add_option("--top-k", values.top_k, "draw from the K most likely; 0: all");
  verb.add_option("--top-p", values.top_p, "draw from the most likely that hold this probability");
  verb.add_option("--min-p", values.min_p, "draw from those that have this share of the largest probability");
  verb.add_option("--repetition-penalty", values.repetition_penalty, "on tokens of prompt and answer; 1: none");
  verb.add_option("--frequency-penalty", values.frequency_penalty, "for each time a token is in the answer; 0: none");
  verb.add_option("--presence-penalty", values.presence_penalty, "on tokens that are in the answer; 0: none");
  verb.add_option("--logit-bias", flags->logit_bias, "added to the logit of a token, as ID=BIAS; may be repeated")
      ->allow_extra_args(false);
  verb.add_option("--seed", flags->seed, "of the drawing")->capture_default_str();
  AddGenerationConfigFlag(verb, &flags->file);
}

}  // namespace ecld
