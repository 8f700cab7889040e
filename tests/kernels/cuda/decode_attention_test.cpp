// Rotation into a cache and attention over it, whole on the executor, against the processor's definition.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "kernels/attention/implementations.h"
#include "kernels/elementwise/elementwise.h"
#include "tests/testing/host_gpu.h"
#include "tests/testing/near.h"
#include "tests/testing/owned_weight.h"

namespace ecld {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

struct Case {
  KvType kv;
  int heads, kv_heads, head_dim;
};

std::string CaseName(const testing::TestParamInfo<Case>& info) {
  const Case& c = info.param;
  return fmt::format("{}H{}Of{}D{}", Name(c.kv), c.heads, c.kv_heads, c.head_dim);
}
void PrintTo(const Case& c, std::ostream* out) { *out << CaseName({c, 0}); }

class DecodeAttention : public testing::TestWithParam<Case> {
 protected:
  static constexpr int64_t kCapacity = 352;

  int heads() const { return GetParam().heads; }
  int kv_heads() const { return GetParam().kv_heads; }
  int head_dim() const { return GetParam().head_dim; }
  KvShape shape() const { return {GetParam().kv, kv_heads(), head_dim()}; }

  // A cache full of bytes that are no numbers, or very large ones.
  KvView Cache(HostGpu& gpu) const {
    return {shape(), kCapacity, gpu.New<std::byte>(shape().Bytes(kCapacity), std::byte{0x7f})};
  }
  std::vector<float> Key(const KvView& view, int64_t head, int64_t position) const {
    std::vector<float> key(static_cast<size_t>(head_dim()));
    ReadKey(view, head, position, key.data());
    return key;
  }
  std::vector<float> Value(const KvView& view, int64_t head, int64_t position) const {
    std::vector<float> value(static_cast<size_t>(head_dim()));
    ReadValue(view, head, position, value.data());
    return value;
  }
  // Random keys and values at positions [from, to).
  void Fill(const KvView& view, int64_t from, int64_t to, Random& random) const {
    for (int64_t position = from; position < to; ++position) {
      std::vector<float> key = RandomRows(kv_heads(), head_dim(), random),
                         value = RandomRows(kv_heads(), head_dim(), random);
      kAttentionReference.append(view, position, key.data(), value.data());
    }
  }
};

TEST_P(DecodeAttention, RotatesAndStoresAsTheProcessorDoes) {
  constexpr int kRows = 3, kPosition = 30;  // over the end of a block of keys
  Random random(1);
  const int half = head_dim() / 2, width = (heads() + 2 * kv_heads()) * head_dim();
  for (bool extras : {false, true}) {
    HostGpu gpu;
    const std::vector<float> y = RandomRows(kRows, width, random), bias = RandomRows(1, width, random),
                             query_norm = RandomRows(1, head_dim(), random),
                             key_norm = RandomRows(1, head_dim(), random), cosine = RandomRows(kCapacity, half, random),
                             sine = RandomRows(kCapacity, half, random);
    const KvView cache = Cache(gpu), expected_cache = Cache(gpu);
    float* query = gpu.New<float>(kRows * heads() * head_dim(), kNan);
    gpu.Run(cuda::RotateStep{.y = gpu.New(y),
                             .bias = extras ? gpu.New(bias) : nullptr,
                             .query_norm = extras ? gpu.New(query_norm) : nullptr,
                             .key_norm = extras ? gpu.New(key_norm) : nullptr,
                             .eps = 1e-5f,
                             .cosine = gpu.New(cosine),
                             .sine = gpu.New(sine),
                             .position = gpu.New<int32_t>(1, kPosition),
                             .rows = kRows,
                             .num_heads = heads(),
                             .kv = cuda::KvMemoryOf(cache),
                             .query = query});
    std::vector<float> expected;
    for (int r = 0; r < kRows; ++r) {
      std::vector<float> row(y.begin() + r * width, y.begin() + (r + 1) * width);
      if (extras) kElementwisePortable.add(bias.data(), width, row.data());
      float* key = row.data() + heads() * head_dim();
      const auto turn = [&](float* x, int64_t count, const std::vector<float>& norm) {
        for (int64_t h = 0; extras && h < count; ++h)
          kElementwisePortable.rms_norm(x + h * head_dim(), norm.data(), head_dim(), 1e-5f, x + h * head_dim());
        kElementwisePortable.rotate(x, cosine.data() + (kPosition + r) * half, sine.data() + (kPosition + r) * half,
                                    count, head_dim());
      };
      turn(row.data(), heads(), query_norm);
      turn(key, kv_heads(), key_norm);
      expected.insert(expected.end(), row.data(), key);
      kAttentionReference.append(expected_cache, kPosition + r, key, key + kv_heads() * head_dim());
    }
    EXPECT_TRUE(Near(std::span(query, expected.size()), expected, Relative(1e-5)));
    // A rounding that another order of a sum tips over is a step of the type.
    const Tolerance step = GetParam().kv == KvType::kQ8 ? Relative(1.01 / 127, 1e-3) : Relative(1e-3, 1e-5);
    for (int64_t head = 0; head < kv_heads(); ++head)
      for (int64_t p = kPosition; p < kPosition + kRows; ++p) {
        EXPECT_TRUE(Near(Key(cache, head, p), Key(expected_cache, head, p), step));
        EXPECT_TRUE(Near(Value(cache, head, p), Value(expected_cache, head, p), step));
      }
    // What stands at other positions is as it was.
    int64_t changed = 0, expected_changed = 0;
    for (int64_t i = 0; i < shape().Bytes(kCapacity); ++i) {
      changed += cache.data[i] != std::byte{0x7f};
      expected_changed += expected_cache.data[i] != std::byte{0x7f};
    }
    const int64_t bytes = kRows * kv_heads() * 2 * (head_dim() * Bits(GetParam().kv) / 8 + (shape().Scaled() ? 4 : 0));
    EXPECT_LE(changed, bytes);
    EXPECT_GT(changed, bytes * 3 / 4);  // a few are the byte that was there
    EXPECT_LE(expected_changed, bytes);
  }
}

TEST_P(DecodeAttention, AgreesWithTheDefinition) {
  struct Text {
    int position, rows, window, splits;
  };
  Random random(2);
  ThreadPool pool(1);
  for (const Text& text : {Text{0, 1, 0, 1},
                           {0, 3, 0, 2},
                           {31, 2, 0, 1},
                           {100, 1, 7, 1},
                           {300, 1, 0, 3},
                           {290, 2, 150, 2},
                           {130, 1, 40, 5}}) {
    SCOPED_TRACE(
        fmt::format("position {} rows {} window {} splits {}", text.position, text.rows, text.window, text.splits));
    HostGpu gpu;
    const KvView cache = Cache(gpu);
    const int64_t first = text.window > 0 ? std::max(0, text.position + 1 - text.window) : 0;
    Fill(cache, first, text.position + text.rows, random);
    const std::vector<float> query = RandomRows(text.rows, heads() * head_dim(), random);
    std::vector<float> expected(query.size());
    const AttentionPiece piece{
        .query = query.data(), .kv = cache, .rows = text.rows, .first_position = text.position, .out = expected.data()};
    AttentionScratch scratch;
    kAttentionReference.run({.pieces = {&piece, 1}, .num_heads = heads(), .window = text.window, .scale = 0.3f}, pool,
                            scratch);

    const int64_t stride = heads() * head_dim() + 6;
    cuda::AttendStep step{.query = gpu.New(query),
                          .kv = cuda::KvMemoryOf(cache),
                          .position = gpu.New<int32_t>(1, text.position),
                          .rows = text.rows,
                          .num_heads = heads(),
                          .window = text.window,
                          .splits = text.splits,
                          .scale = 0.3f,
                          .counters = gpu.New<uint32_t>(text.rows * heads()),
                          .type = DType::kF16,
                          .out = gpu.New<uint16_t>(text.rows * stride, uint16_t{0x7fff}),
                          .out_stride = stride};
    if (text.splits > 1) step.parts = gpu.New<float>(cuda::AttendPartFloats(step), kNan);
    const auto result = [&] {
      std::vector<float> values;
      for (int r = 0; r < text.rows; ++r)
        for (int i = 0; i < stride; ++i) {
          const uint16_t bits = step.out[r * stride + i];
          if (i < heads() * head_dim())
            values.push_back(HalfToFloat(bits));
          else
            EXPECT_EQ(bits, 0x7fff) << "written between the rows";
        }
      return values;
    };
    gpu.Run(step);
    const std::vector<float> forwards = result();
    EXPECT_TRUE(Near(forwards, expected, Relative(1e-3)));
    gpu.Run(step, true);
    EXPECT_EQ(result(), forwards) << "the order of blocks and threads changes bits";
    step.type = DType::kBF16;
    gpu.Run(step);
    std::vector<float> narrow;
    for (int i = 0; i < heads() * head_dim(); ++i) narrow.push_back(Bf16ToFloat(step.out[i]));
    EXPECT_TRUE(Near(narrow, std::span(expected).first(narrow.size()), Relative(5e-3)));
  }
}

TEST_P(DecodeAttention, NanStaysInItsHead) {
  Random random(3);
  HostGpu gpu;
  const KvView cache = Cache(gpu);
  Fill(cache, 0, 50, random);
  std::vector<float> query = RandomRows(1, heads() * head_dim(), random);
  query[static_cast<size_t>(head_dim() * (heads() - 1) + 1)] = kNan;
  uint16_t* out = gpu.New<uint16_t>(heads() * head_dim());
  gpu.Run(cuda::AttendStep{.query = gpu.New(query),
                           .kv = cuda::KvMemoryOf(cache),
                           .position = gpu.New<int32_t>(1, 49),
                           .rows = 1,
                           .num_heads = heads(),
                           .counters = gpu.New<uint32_t>(heads()),
                           .out = out,
                           .out_stride = heads() * head_dim()});
  for (int i = 0; i < heads() * head_dim(); ++i)
    EXPECT_EQ(std::isnan(HalfToFloat(out[i])), i / head_dim() == heads() - 1) << i;
}

INSTANTIATE_TEST_SUITE_P(, DecodeAttention,
                         testing::Values(Case{KvType::kF16, 4, 2, 16}, Case{KvType::kQ8, 4, 2, 16},
                                         Case{KvType::kF16, 3, 3, 64}, Case{KvType::kQ8, 3, 1, 64},
                                         Case{KvType::kF16, 7, 1, 128}, Case{KvType::kQ8, 7, 1, 80},
                                         Case{KvType::kF16, 9, 1, 6}, Case{KvType::kQ8, 9, 1, 6},
                                         Case{KvType::kF16, 2, 1, 256}, Case{KvType::kQ8, 2, 2, 250}),
                         CaseName);

TEST(AttendSplits, FillAGpuAndStayWithinTheText) {
  EXPECT_EQ(cuda::AttendSplits(8, 1, 8192), 33);
  EXPECT_EQ(cuda::AttendSplits(8, 64, 8192), 1);
  EXPECT_EQ(cuda::AttendSplits(2, 1, 256), 2);
  EXPECT_EQ(cuda::AttendSplits(500, 1, 32), 1);
}

}  // namespace
}  // namespace ecld
