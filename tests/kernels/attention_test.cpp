#include "kernels/attention/attention.h"

#include <gtest/gtest.h>

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

constexpr KvType kTypes[] = {KvType::kF32, KvType::kF16, KvType::kQ8};

struct Problem {
  int64_t rows, first_position, num_heads, num_kv_heads, head_dim, window;
};

// A cache with room for `positions`, poisoned before a position is written.
class Cache {
 public:
  Cache(const KvShape& shape, int64_t positions) {
    const int64_t capacity = (positions + kKeyBlock - 1) / kKeyBlock * kKeyBlock;
    lines_ = std::make_unique<Line[]>(static_cast<size_t>(shape.Bytes(capacity) / 64 + 1));
    view = {.shape = shape, .capacity = capacity, .data = lines_[0].bytes};
  }
  KvView view;

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
        kAttentionReference.append(caches.back().view, i, &keys.back()[static_cast<size_t>(i * width)],
                                   &values.back()[static_cast<size_t>(i * width)]);
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
  for (KvType type : kTypes)
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
    kAttentionReference.append(inputs.caches[0].view, 5, huge.data(), huge.data());  // the last row's own position
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

// Every implementation writes what the reference writes, up to one step of rounding, and it reads as what went in.
TEST(KvRows, ReadAsWhatWasAppended) {
  Random random(7);
  for (KvType type : kTypes)
    for (int64_t head_dim : {6, 20, 64, 100})
      for (const AttentionImplementation& implementation : AttentionImplementations()) {
        if (!implementation.supports()) continue;
        Cache cache({.type = type, .num_kv_heads = 3, .head_dim = head_dim}, 40);
        const std::vector<float> key = Normal(3 * head_dim, random), value = Normal(3 * head_dim, random);
        implementation.append(cache.view, 37, key.data(), value.data());
        std::vector<float> read_key(key.size(), NAN), read_value(key.size(), NAN);
        for (int64_t head = 0; head < 3; ++head) {
          ReadKey(cache.view, head, 37, &read_key[static_cast<size_t>(head * head_dim)]);
          ReadValue(cache.view, head, 37, &read_value[static_cast<size_t>(head * head_dim)]);
        }
        // Half a step of 11 bits below 4, and half of 1/127 of a head's largest.
        const double bound = type == KvType::kF32 ? 1e-30 : type == KvType::kF16 ? 1.1e-3 : 4.5 / 254;
        EXPECT_TRUE(Near(read_key, key, {.max_abs = bound})) << implementation.name << " " << Name(type);
        EXPECT_TRUE(Near(read_value, value, {.max_abs = bound})) << implementation.name << " " << Name(type);
      }
}

TEST(KvRows, ACopyIntoMoreRoomReadsTheSame) {
  ThreadPool pool(1);
  for (KvType type : kTypes) {
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
