#include "prune/vocab.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <queue>
#include <span>
#include <tuple>

#include "checkpoint/side_files.h"
#include "checkpoint/tokenizer/cut_tokenizer.h"
#include "checkpoint/tokenizer/token_map.h"
#include "checkpoint/tokenizer/tokenizer.h"
#include "core/error.h"
#include "core/files.h"
#include "core/memory.h"
#include "core/options.h"
#include "model/tensor_walker.h"

namespace ecld {
namespace {

namespace fs = std::filesystem;

constexpr double kTextBps = 15e6;  // that a tokenizer reads; a rough figure, for plans

// Tokens of each text, in the order of the texts.
struct CountedTexts {
  std::vector<double> by_token;  // [vocab_size]: each text counts by its weight, whatever its length
  std::vector<int64_t> lengths;
};

CountedTexts CountTexts(const std::vector<TextSource>& sources, const fs::path& directory, int64_t vocab_size) {
  const std::unique_ptr<Tokenizer> tokenizer = Tokenizer::Open(directory);
  CountedTexts counted{std::vector<double>(static_cast<size_t>(vocab_size)), {}};
  double weights = 0;
  for (const TextSource& source : sources) {
    const Texts texts = ReadTexts(source, directory, *tokenizer);
    const std::vector<int32_t> ids =
        Encode(texts, *tokenizer, texts.kind == Texts::Kind::kDocuments, source.path.string());
    counted.lengths.push_back(std::ssize(ids));
    weights += source.weight;
    for (const int32_t id : ids)
      counted.by_token.at(static_cast<size_t>(id)) += source.weight / static_cast<double>(ids.size());
  }
  const auto tokens = static_cast<double>(std::reduce(counted.lengths.begin(), counted.lengths.end()));
  for (double& count : counted.by_token) count *= tokens / weights;
  return counted;
}

Json TextsJson(const std::vector<TextSource>& sources, const std::vector<int64_t>& before,
               const std::vector<int64_t>& after) {
  Json rows = Json::array();
  for (size_t i = 0; i < sources.size(); ++i)
    rows.push_back({{"file", sources[i].path.string()},
                    {"tokens_before", before[i]},
                    {"tokens_after", after[i]},
                    {"longer", static_cast<double>(after[i]) / static_cast<double>(before[i]) - 1}});
  return rows;
}

// The rows of one end of the model, of all that it is stored as: where it is packed, codes and scales lie row by row.
void WriteRows(const Checkpoint& in, const TensorSpec& target, const std::vector<int32_t>& kept,
               CheckpointWriter* out) {
  for (const StoredTensor& part : StoredForm(target, out->config())) {
    if (part.name.ends_with(".weight_shape")) {
      out->Write(part.name, std::as_bytes(std::span(target.shape)));
      continue;
    }
    const TensorView& view = in.Tensor(part.name);
    const auto width = static_cast<size_t>(part.shape[1]);
    const size_t from_B = width * SizeOf(view.dtype), to_B = width * SizeOf(part.dtype);
    std::vector<float> values(width);
    std::vector<std::byte> converted(to_B);
    for (size_t id = 0; id < kept.size(); ++id) {
      std::span<const std::byte> row = view.bytes.subspan(static_cast<size_t>(kept[id]) * from_B, from_B);
      if (view.dtype != part.dtype) {
        ToFloat(view.dtype, row.data(), width, values.data());
        FromFloat(part.dtype, values.data(), width, converted.data());
        row = converted;
      }
      out->WritePiece(part.name, id * to_B, row);
    }
  }
}

// Keys of config.json whose ids are others now.
Json MappedConfigKeys(const ModelConfig& config, const NewIds& ids) {
  Json json = config.source, changed = Json::object();
  MapTokenIds(ids, "config.json", &json);
  for (const auto& [key, value] : json.items())
    if (value != config.source.at(key)) changed[key] = value;
  return changed;
}

// least: tokens that cannot go; all: that there are. THROWS Error with the nearest number that can be.
int64_t TokensToKeep(const PruneVocabOptions& options, int64_t least, int64_t all, const std::string& where) {
  const int64_t multiple = options.multiple_of;
  const auto rounded_up = [&](double tokens) {
    return static_cast<int64_t>(std::ceil(tokens / static_cast<double>(multiple))) * multiple;
  };
  const double asked = options.tokens <= 1 ? options.tokens * static_cast<double>(all) : options.tokens;
  const int64_t keep = rounded_up(asked), fewest = rounded_up(static_cast<double>(least));
  if (asked > static_cast<double>(all)) Fail(where, "{} is more than the {} tokens there are", asked, all);
  if (fewest > all)
    Fail(where,
         "bytes, special and added tokens and their parts are {} of the {} tokens; there is nothing to cut to a "
         "multiple of {}",
         least, all, multiple);
  if (keep > all)
    Fail(where, "{}, rounded up to a multiple of {}, is {}, more than the {} tokens there are; the most is {}", asked,
         multiple, keep, all, all / multiple * multiple);
  if (keep < fewest)
    Fail(where, "{} is below what cannot go: bytes, special and added tokens and their parts; the least is {}", keep,
         fewest);
  return keep;
}

bool IsEnd(const TensorSpec& spec) { return spec.role == Role::kEmbedding || spec.role == Role::kHead; }

}  // namespace

std::vector<double> ExpectedCounts(const MergeTree& tree, const std::vector<double>& counted, double prior) {
  const auto zipf = [](const MergeTree::Token& token) {
    return token.merged() ? 1 / (static_cast<double>(token.rank) + kPriorShift) : 0;
  };
  double all = 0;
  for (const MergeTree::Token& token : tree.tokens) all += zipf(token);
  std::vector<double> expected = counted;
  for (size_t id = 0; id < expected.size() && all > 0; ++id) expected[id] += prior * zipf(tree.tokens[id]) / all;
  return expected;
}

int64_t LeastTokens(const MergeTree& tree) {
  return std::ranges::count_if(tree.tokens, [](const MergeTree::Token& token) { return token.fixed; });
}

std::vector<int32_t> ChooseTokens(const MergeTree& tree, std::vector<double> expected, int64_t keep) {
  const size_t count = tree.tokens.size();
  std::vector<int64_t> uses(count);  // tokens left that are made of it
  for (const MergeTree::Token& token : tree.tokens)
    if (token.merged()) {
      ++uses[static_cast<size_t>(token.left)];
      ++uses[static_cast<size_t>(token.right)];
    }
  struct Leaf {
    double longer;  // by how many tokens the text gets without it
    int64_t rank;
    int32_t id;
    bool operator<(const Leaf& other) const {  // the first to go is the greatest
      return std::tie(other.longer, rank, id) < std::tie(longer, other.rank, other.id);
    }
  };
  std::priority_queue<Leaf> leaves;
  const auto add = [&](int32_t id) {
    const MergeTree::Token& token = tree.tokens[static_cast<size_t>(id)];
    if (token.fixed || uses[static_cast<size_t>(id)] > 0) return;
    const int parts = token.merged() ? 2 : std::max(2, token.symbols);
    const double longer = token.present ? expected[static_cast<size_t>(id)] * (parts - 1) : -1;
    leaves.push({longer, token.merged() ? token.rank : tree.merges, id});
  };
  for (size_t id = 0; id < count; ++id) add(static_cast<int32_t>(id));
  std::vector<bool> gone(count);
  for (int64_t left = std::ssize(tree.tokens); left > keep; --left) {
    const int32_t id = leaves.top().id;
    leaves.pop();
    gone[static_cast<size_t>(id)] = true;
    const MergeTree::Token& token = tree.tokens[static_cast<size_t>(id)];
    if (!token.merged()) continue;
    for (const int32_t part : {token.left, token.right}) {
      expected[static_cast<size_t>(part)] += expected[static_cast<size_t>(id)];
      if (--uses[static_cast<size_t>(part)] == 0) add(part);
    }
  }
  std::vector<int32_t> kept;
  for (size_t id = 0; id < count; ++id)
    if (!gone[id]) kept.push_back(static_cast<int32_t>(id));
  return kept;
}

Planned PruneVocabPass::Plan(const PlanInput& input) const {
  if (input.texts.empty())
    Fail(input.where,
         "counts the tokens of text, and none is named; give --calibration FILE (text that the model writes itself "
         "says little of what is needed)");
  for (const TensorSpec& spec : TensorTable(input.config))
    if (IsEnd(spec) && spec.format && !spec.format->symmetric)
      Fail(input.where,
           "{} is packed already ({}), with zero points of many rows in one word; put prune.vocab before the pass that "
           "packs it, or give the dense model",
           spec.name, spec.format->Name());
  const int64_t all = input.config.vocab_size;
  const int64_t least = LeastTokens(ReadMergeTree(input.tokenizer, input.tokenizer_vocab_size));
  const int64_t keep = TokensToKeep(options_, least, all, input.where + ".tokens");
  Planned planned;
  planned.config = input.config;
  planned.config.vocab_size = keep;
  planned.output_B = WeightFileBytes(planned.config);
  uint64_t largest_B = 0, text_B = 0;
  for (const TextSource& source : input.texts) {
    std::error_code error;
    const auto size = fs::file_size(source.path, error);
    if (error) Fail(source.path.string(), "cannot read: {}", error.message());
    largest_B = std::max<uint64_t>(largest_B, size);
    text_B += size;
  }
  // A text, its documents and its ids; and, for each token, what tokenizers before and after keep and are read from.
  planned.peak_memory_B = 4 * largest_B + 2 * 400 * static_cast<uint64_t>(all) + kKeptFreeBytes;
  if (input.rates) planned.seconds = 1 + 2 * static_cast<double>(text_B) / kTextBps;
  planned.notes.push_back(
      fmt::format("vocab_size {} -> {}; the tokenizer is another one, and texts get longer", all, keep));
  return planned;
}

void PruneVocabPass::Run(const Checkpoint& in, CheckpointWriter& out, PassContext& context) const {
  const int64_t all = in.config().vocab_size;
  const MergeTree tree = ReadMergeTree(in.directory(), all);
  const CountedTexts before = CountTexts(*context.texts, in.directory(), all);
  const std::vector<int32_t> kept =
      ChooseTokens(tree, ExpectedCounts(tree, before.by_token, options_.prior), out.config().vocab_size);
  const NewIds ids = NewIdsOf(kept, all);
  *context.decided = MappedConfigKeys(in.config(), ids);

  const fs::path beside = SideFilesOf(context.scratch);
  fs::remove_all(beside);
  fs::create_directories(beside);
  CopySideFiles(in.directory(), beside, Weights::kChanged);
  // While the tokenizer is read: the class that transformers takes for it is in config.json too.
  WriteJsonFile(beside / "config.json", ToJson(WithDecided(out.config(), *context.decided)));
  const CutFiles files = CutTokenizer(in.directory(), beside, ids);
  WriteTokenMap(beside, MapOfCut(ReadTokenMap(in.directory()), all, kept));
  const CountedTexts after = CountTexts(*context.texts, beside, out.config().vocab_size);
  fs::remove(beside / "config.json");

  WalkTensors(in, out, context, {.label = "prune.vocab", .write = [&](const TensorSpec& target) {
                                   if (IsEnd(target))
                                     WriteRows(in, target, kept, &out);
                                   else
                                     out.CopyFrom(in, target);
                                   return Json();
                                 }});
  Json& report = *context.report;
  report["tokens_before"] = all;
  report["tokens_after"] = out.config().vocab_size;
  report["params_before"] = ParameterCount(in.config());
  report["texts"] = TextsJson(*context.texts, before.lengths, after.lengths);
  report["rewritten"] = files.rewritten;
  report["removed"] = files.removed;
}

std::unique_ptr<Pass> MakePruneVocab(Options& options) {
  PruneVocabOptions prune;
  prune.tokens =
      options.Number("tokens", prune.tokens, 0, 1e9, "tokens to keep: how many, or (up to 1) which share of them");
  prune.multiple_of = options.Int("multiple_of", prune.multiple_of, 1, 1 << 20, "what is kept is rounded up to one");
  prune.prior = options.Number("prior", prune.prior, 0, 1e15,
                               "how many tokens of text the order of the tokenizer's merges counts as");
  return std::make_unique<PruneVocabPass>(prune);
}

}  // namespace ecld
