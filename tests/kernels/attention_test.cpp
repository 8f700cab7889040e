#include "kernels/attention/attention.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "core/random.h"
#include "kernels/attention/implementations.h"
#include "tests/testing/near.h"

namespace ecld {
namespace {

struct Problem {
  int64_t rows, first_position, num_heads, num_kv_heads, head_dim, window;
};

// A cache with room for `positions`, poisoned before a position is written.
class Cache {
 public:
  Cache(const KvShape& shape, int64_t positions) {
    const int64_t capacity = WholeKeyBlocks(positions);
    lines_ = std::make_unique<Line[]>(static_cast<size_t>(shape.Bytes(capacity) / 64 + 1));
    view = {.shape = shape, .capacity = capacity, .data = lines_[0].bytes};
  }
  KvView view;

  // With the reference, or another.
  void Append(int64_t position, std::vector<float> key, std::vector<float> value,
              const AttentionImplementation& implementation = kAttentionReference) const {
    implementation.append(view, position, key.data(), value.data());
  }

 private:
  struct alignas(64) Line {
    std::byte bytes[64];
  };
  std::unique_ptr<Line[]> lines_;
};

std::vector<float> Normal(int64_t count, Random& random) {
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) value = static_cast<float>(random.Normal());
  return values;
}

// One or several sequences of the same shape, with random keys and values up to their last row.
struct Inputs {
  std::vector<std::vector<float>> query, keys, values, out;
  std::vector<Cache> caches;
  std::vector<AttentionPiece> pieces;
  AttentionArgs args;

  Inputs(const std::vector<Problem>& problems, KvType type, uint64_t seed) {
    Random random(seed);
    for (const Problem& p : problems) {
      const KvShape shape{.type = type, .num_kv_heads = p.num_kv_heads, .head_dim = p.head_dim};
      const int64_t positions = p.first_position + p.rows, width = p.num_kv_heads * p.head_dim;
      query.push_back(Normal(p.rows * p.num_heads * p.head_dim, random));
      keys.push_back(Normal(positions * width, random));
      values.push_back(Normal(positions * width, random));
      caches.emplace_back(shape, positions);
      for (int64_t i = 0; i < positions; ++i)
        caches.back().Append(i, {keys.back().begin() + i * width, keys.back().begin() + (i + 1) * width},
                             {values.back().begin() + i * width, values.back().begin() + (i + 1) * width});
      out.emplace_back(query.back().size(), NAN);
    }
    for (size_t i = 0; i < problems.size(); ++i)
      pieces.push_back({.query = query[i].data(),
                        .kv = caches[i].view,
                        .rows = problems[i].rows,
                        .first_position = problems[i].first_position,
                        .out = out[i].data()});
    args = {.pieces = pieces,
            .num_heads = problems[0].num_heads,
            .window = problems[0].window,
            .scale = 1 / std::sqrt(static_cast<float>(problems[0].head_dim))};
  }

  // The outputs of all pieces, one after another.
  std::vector<float> Run(const AttentionImplementation& implementation, ThreadPool& pool) {
    for (auto& values_out : out) values_out.assign(values_out.size(), NAN);
    AttentionScratch scratch;
    implementation.run(args, pool, scratch);
    std::vector<float> all;
    for (const auto& values_out : out) all.insert(all.end(), values_out.begin(), values_out.end());
    return all;
  }
};

// Odd widths, heads wider than any vector, windows, more rows and keys than one task or one step takes.
constexpr Problem kProblems[] = {
    {1, 0, 1, 1, 8, 0},      {5, 0, 4, 2, 16, 0},   {1, 77, 6, 3, 64, 0},    {40, 30, 9, 3, 64, 0},
    {33, 0, 4, 4, 20, 0},    {50, 0, 4, 1, 32, 7},  {3, 100, 2, 1, 80, 33},  {65, 64, 2, 2, 40, 1},
    {9, 200, 4, 2, 128, 64}, {1, 700, 8, 2, 64, 0}, {1, 600, 6, 2, 64, 300}, {4, 300, 24, 2, 6, 0},
    {2, 40, 2, 1, 320, 0},   {70, 3, 3, 1, 7, 0},   {1, 511, 1, 1, 96, 0},
};

TEST(Attention, EveryImplementationAgreesWithReference) {
  ThreadPool pool(2);
  for (KvType type : kKvTypes)
    for (const Problem& problem : kProblems) {
      Inputs inputs({problem}, type, 1);
      const std::vector<float> expected = inputs.Run(kAttentionReference, pool);
      for (const AttentionImplementation& implementation : AttentionImplementations()) {
        if (!implementation.supports()) continue;
        EXPECT_TRUE(Near(inputs.Run(implementation, pool), expected, {.max_abs = 5e-6}))
            << implementation.name << " " << Name(type) << " rows " << problem.rows << " head_dim " << problem.head_dim;
      }
    }
}

TEST(Attention, SeveralSequencesAreWhatEachIsAlone) {
  ThreadPool pool(3);
  for (const AttentionImplementation& implementation : AttentionImplementations()) {
    if (!implementation.supports()) continue;
    const std::vector<Problem> problems = {{1, 400, 6, 3, 64, 0}, {70, 0, 6, 3, 64, 0}, {1, 3, 6, 3, 64, 0}};
    Inputs inputs(problems, KvType::kF16, 5);
    const std::vector<float> together = inputs.Run(implementation, pool);
    std::vector<float> alone;
    for (const AttentionPiece& piece : inputs.pieces) {
      AttentionScratch scratch;
      AttentionArgs args = inputs.args;
      args.pieces = std::span(&piece, 1);
      implementation.run(args, pool, scratch);
      alone.insert(alone.end(), piece.out, piece.out + piece.rows * 6 * 64);
    }
    EXPECT_TRUE(Near(together, alone, Exact())) << implementation.name;
  }
}

TEST(Attention, ResultDoesNotDependOnThreads) {
  ThreadPool one(1), three(3);
  Inputs inputs({{1, 1000, 6, 3, 64, 0}}, KvType::kF16, 6);
  const AttentionImplementation& first = AttentionImplementations().front();
  if (!first.supports()) GTEST_SKIP() << "this processor does not run " << first.name;
  EXPECT_TRUE(Near(inputs.Run(first, three), inputs.Run(first, one), Exact()));
}

TEST(Attention, LaterPositionsAreNotSeen) {
  ThreadPool pool(1);
  for (const AttentionImplementation& implementation : AttentionImplementations()) {
    if (!implementation.supports()) continue;
    Inputs inputs({{4, 2, 2, 1, 8, 0}}, KvType::kF32, 2);
    const std::vector<float> before = inputs.Run(implementation, pool);
    const std::vector<float> huge(8, 1e18f);
    inputs.caches[0].Append(5, huge, huge);  // the last row's own position
    const std::vector<float> after = inputs.Run(implementation, pool);
    for (size_t i = 0; i < before.size(); ++i) EXPECT_EQ(before[i] == after[i], i / 16 < 3) << implementation.name;
  }
}

TEST(Attention, AWindowOfOneReturnsTheOwnValue) {
  ThreadPool pool(1);
  for (const AttentionImplementation& implementation : AttentionImplementations()) {
    if (!implementation.supports()) continue;
    Inputs inputs({{3, 4, 1, 1, 8, 1}}, KvType::kF32, 3);
    EXPECT_TRUE(Near(inputs.Run(implementation, pool),
                     std::vector<float>(inputs.values[0].begin() + 4 * 8, inputs.values[0].end()), Relative(1e-6)));
  }
}

TEST(Attention, LargeScoresDoNotOverflowAndNanIsNotLost) {
  ThreadPool pool(1);
  for (const AttentionImplementation& implementation : AttentionImplementations()) {
    if (!implementation.supports()) continue;
    Inputs inputs({{2, 60, 1, 1, 8, 0}}, KvType::kF32, 4);
    for (float& value : inputs.query[0]) value *= 1000;
    const std::vector<float> expected = inputs.Run(kAttentionReference, pool);
    EXPECT_TRUE(Near(inputs.Run(implementation, pool), expected, {.max_abs = 1e-3})) << implementation.name;
    inputs.query[0][9] = NAN;  // of the second row
    const std::vector<float> some = inputs.Run(implementation, pool);
    for (size_t i = 0; i < some.size(); ++i) EXPECT_EQ(std::isnan(some[i]), i >= 8) << implementation.name;
  }
}

// One position, as it reads: keys of all heads, then values.
std::vector<float> Read(const KvView& view, int64_t position) {
  const int64_t head_dim = view.shape.head_dim, width = view.shape.num_kv_heads * head_dim;
  std::vector<float> read(static_cast<size_t>(2 * width), NAN);
  for (int64_t head = 0; head < view.shape.num_kv_heads; ++head) {
    ReadKey(view, head, position, read.data() + head * head_dim);
    ReadValue(view, head, position, read.data() + width + head * head_dim);
  }
  return read;
}

// Every implementation writes what the reference writes, up to one step of rounding, and it reads as what went in.
TEST(KvRows, ReadAsWhatWasAppended) {
  Random random(7);
  for (KvType type : kKvTypes)
    for (int64_t head_dim : {6, 7, 20, 64, 80, 100, 128})
      for (const AttentionImplementation& implementation : AttentionImplementations()) {
        if (!implementation.supports()) continue;
        Cache cache({.type = type, .num_kv_heads = 3, .head_dim = head_dim}, 40);
        const std::vector<float> key = Normal(3 * head_dim, random), value = Normal(3 * head_dim, random);
        cache.Append(37, key, value, implementation);
        std::vector<float> expected = key;
        expected.insert(expected.end(), value.begin(), value.end());
        // Half a step of 11 bits below 4, half of 1/127 of a head's largest; of turned vectors half of 1/7.5, which
        // turning back mixes: at most 0.087 of the head's largest on average.
        const double bound = type == KvType::kF32   ? 1e-30
                             : type == KvType::kF16 ? 1.1e-3
                             : type == KvType::kQ8  ? 4.5 / 254
                                                    : 0.6;
        EXPECT_TRUE(Near(Read(cache.view, 37), expected, {.max_abs = bound, .mean_abs = bound / 2}))
            << implementation.name << " " << Name(type) << " head_dim " << head_dim;
        Cache reference(cache.view.shape, 40);
        reference.Append(37, key, value);
        EXPECT_TRUE(Near(Read(cache.view, 37), Read(reference.view, 37), {.max_abs = bound, .mean_abs = bound / 500}))
            << implementation.name << " " << Name(type) << " head_dim " << head_dim;
      }
}

// Few elements that stand out, as keys of real models have, cost the others nothing.
TEST(KvRows, FourBitsAreAsGoodWhereOneElementStandsOut) {
  Random random(11);
  std::vector<float> key = Normal(64, random);
  key[17] = 40;
  const Cache cache({.type = KvType::kQ4, .num_kv_heads = 1, .head_dim = 64}, 1);
  cache.Append(0, key, key);
  double error = 0;
  const std::vector<float> read = Read(cache.view, 0);
  for (size_t i = 0; i < 64; ++i) error += std::pow(read[i] - key[i], 2);
  // On one grid for all as they are, of steps of 40 / 7.5, every other element would be lost: 1 a piece.
  EXPECT_LT(error / 64, 0.25);
}

TEST(KvRows, NanIsNotLost) {
  ThreadPool pool(1);
  for (KvType type : kKvTypes)
    for (const AttentionImplementation& implementation : AttentionImplementations()) {
      if (!implementation.supports()) continue;
      for (bool in_key : {false, true}) {
        Inputs inputs({{1, 40, 1, 1, 20, 0}}, type, 12);
        std::vector<float> key(20, 1), value(20, 1);
        (in_key ? key : value)[13] = NAN;
        inputs.caches[0].Append(40, key, value, implementation);
        EXPECT_TRUE(std::isnan(inputs.Run(implementation, pool)[13])) << implementation.name << " " << Name(type);
      }
    }
}

// So that several threads may write positions of one cache.
TEST(KvRows, NoTwoPositionsShareAByte) {
  Random random(13);
  for (KvType type : kKvTypes)
    for (const AttentionImplementation& implementation : AttentionImplementations()) {
      if (!implementation.supports()) continue;
      std::vector<int> writers;
      for (int64_t position = 0; position < 64; ++position) {
        const std::vector<float> key = Normal(2 * 40, random), value = Normal(2 * 40, random);
        std::vector<bool> written;
        for (int fill : {0x00, 0xff}) {
          const Cache cache({.type = type, .num_kv_heads = 2, .head_dim = 40}, 64);
          const auto bytes = static_cast<size_t>(cache.view.shape.Bytes(64));
          std::fill_n(cache.view.data, bytes, static_cast<std::byte>(fill));
          cache.Append(position, key, value, implementation);
          writers.resize(bytes);
          written.resize(bytes);
          for (size_t i = 0; i < bytes; ++i)
            if (cache.view.data[i] != static_cast<std::byte>(fill)) written[i] = true;
        }
        for (size_t i = 0; i < written.size(); ++i) writers[i] += written[i];
      }
      EXPECT_EQ(*std::max_element(writers.begin(), writers.end()), 1) << implementation.name << " " << Name(type);
    }
}

TEST(Turn, IsOrthogonalItsOwnInverseAndSpreadsWhatStandsOut) {
  for (int64_t head_dim : {6, 7, 40, 64, 128}) {
    const int64_t size = TurnSize(head_dim);
    EXPECT_EQ(head_dim % size, 0);
    EXPECT_EQ(head_dim / size % 2, 1);
    for (int64_t i = 0; i < head_dim; ++i) {
      std::vector<float> unit(static_cast<size_t>(head_dim), 0);
      unit[static_cast<size_t>(i)] = 1;
      std::vector<float> turned = unit;
      Turn(turned.data(), head_dim);
      for (int64_t d = 0; d < head_dim; ++d)
        EXPECT_NEAR(std::fabs(turned[static_cast<size_t>(d)]),
                    d / size == i / size ? 1 / std::sqrt(static_cast<double>(size)) : 0, 1e-6);
      Turn(turned.data(), head_dim);
      EXPECT_TRUE(Near(turned, unit, {.max_abs = 1e-6}));
    }
  }
}

TEST(KvRows, ACopyIntoMoreRoomReadsTheSame) {
  ThreadPool pool(1);
  for (KvType type : kKvTypes) {
    Inputs inputs({{3, 90, 4, 2, 20, 0}}, type, 8);
    const std::vector<float> expected = inputs.Run(kAttentionReference, pool);
    Cache larger(inputs.caches[0].view.shape, 300);
    CopyKv(inputs.caches[0].view, 93, larger.view);
    inputs.pieces[0].kv = larger.view;
    EXPECT_TRUE(Near(inputs.Run(kAttentionReference, pool), expected, Exact())) << Name(type);
  }
}

}  // namespace
}  // namespace ecld
