#include "eval/kernel_case.h"

#include <cassert>
#include <cmath>
#include <memory>

#include "core/random.h"
#include "kernels/attention/implementations.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/gemm/implementations.h"
#include "runtime/model.h"

namespace ecld {
namespace {

using Floats = std::vector<float>;

std::shared_ptr<Floats> RandomFloats(int64_t count) {
  Random random(1);
  auto values = std::make_shared<Floats>(static_cast<size_t>(count));
  for (float& value : *values) value = static_cast<float>(random.Normal());
  return values;
}

double FloatBytes(int64_t count) { return static_cast<double>(count) * sizeof(float); }

// A cache that holds `positions` random ones.
struct RandomCache {
  RandomCache(const KvShape& shape, int64_t positions) {
    view = {.shape = shape, .capacity = WholeKeyBlocks(positions)};
    lines.resize(static_cast<size_t>(shape.Bytes(view.capacity) / 64 + 1));
    view.data = lines[0].bytes;
    const auto vector = RandomFloats(shape.num_kv_heads * shape.head_dim);
    for (int64_t i = 0; i < positions; ++i) AppendKv(view, i, vector->data(), vector->data());
  }

  struct alignas(64) Line {
    std::byte bytes[64] = {};
  };
  std::vector<Line> lines;
  KvView view;
};

// A case of every implementation of a step on rows; run(kernels, row).
template <typename Run>
std::vector<KernelCase> ElementwiseCases(int64_t rows, double flop, double bytes, ThreadPool& pool, const Run& run) {
  std::vector<KernelCase> cases;
  for (const ElementwiseKernels& kernels : ElementwiseImplementations())
    if (kernels.supports())
      cases.push_back({.kernel = kernels.name, .flop = flop, .bytes = bytes, .run = [rows, run, &kernels, &pool] {
                         pool.ParallelFor(rows, 1, [&](int64_t begin, int64_t end) {
                           for (int64_t row = begin; row < end; ++row) run(kernels, row);
                         });
                       }});
  return cases;
}

}  // namespace

std::vector<KernelCase> GemmCases(const std::vector<WeightView>& weights, int64_t m, ThreadPool& pool) {
  const WeightView& front = weights.front();
  const int64_t n = front.out_features, k = front.in_features;
  const auto x = RandomFloats(m * k);
  const auto y = std::make_shared<Floats>(static_cast<size_t>(m * n));
  std::vector<KernelCase> cases;
  for (const GemmImplementation& kernel : GemmImplementations()) {
    GemmArgs args{.weight = front, .x = x->data(), .m = m, .y = y->data()};
    if (!kernel.supports(args)) args.exact = false;
    if (!kernel.supports(args)) continue;
    cases.push_back({.kernel = kernel.name,
                     .exact = args.exact,
                     .flop = 2.0 * static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k),
                     .bytes = static_cast<double>(StoredBytes(front)) + FloatBytes(m * (n + k)),
                     .run = [args, x, y, weights, run = kernel.run, &pool, next = size_t{0},
                             scratch = std::make_shared<GemmScratch>()]() mutable {
                       args.weight = weights[next++ % weights.size()];
                       run(std::span(&args, 1), pool, *scratch);
                     }});
  }
  return cases;
}

std::vector<KernelCase> AttentionCases(int64_t rows, int64_t context, int64_t heads, const KvShape& shape,
                                       int64_t caches, ThreadPool& pool) {
  assert(rows <= context && caches > 0);
  const auto query = RandomFloats(rows * heads * shape.head_dim), out = RandomFloats(rows * heads * shape.head_dim);
  const auto of_layers = std::make_shared<std::vector<RandomCache>>();
  while (std::ssize(*of_layers) < caches) of_layers->emplace_back(shape, context);
  AttentionPiece piece{.query = query->data(), .rows = rows, .first_position = context - rows, .out = out->data()};
  // Row r attends to first_position + r + 1 positions; each costs a product with its key and one with its value.
  const double positions = static_cast<double>(rows) * static_cast<double>(2 * context - rows + 1) / 2;
  std::vector<KernelCase> cases;
  for (const AttentionImplementation& kernel : AttentionImplementations())
    if (kernel.supports())
      cases.push_back(
          {.kernel = kernel.name,
           .exact = shape.type == KvType::kF32,
           .flop = 4 * positions * static_cast<double>(heads * shape.head_dim),
           .bytes = static_cast<double>(shape.Bytes(context)) + FloatBytes(2 * rows * heads * shape.head_dim),
           .run = [piece, heads, query, out, of_layers, head_dim = shape.head_dim, run = kernel.run, &pool,
                   next = size_t{0}, scratch = std::make_shared<AttentionScratch>()]() mutable {
             piece.kv = (*of_layers)[next++ % of_layers->size()].view;
             const AttentionArgs args{.pieces = std::span(&piece, 1),
                                      .num_heads = heads,
                                      .scale = 1 / std::sqrt(static_cast<float>(head_dim))};
             run(args, pool, *scratch);
           }});
  return cases;
}

std::vector<KernelCase> NormCases(int64_t rows, int64_t width, ThreadPool& pool) {
  const auto x = RandomFloats(rows * width), weight = RandomFloats(width), y = RandomFloats(rows * width);
  // Square, sum, scale, weight.
  return ElementwiseCases(rows, 4.0 * static_cast<double>(rows * width), FloatBytes(2 * rows * width + width), pool,
                          [=](const ElementwiseKernels& kernels, int64_t row) {
                            kernels.rms_norm(x->data() + row * width, weight->data(), width, 1e-5f,
                                             y->data() + row * width);
                          });
}

std::vector<KernelCase> RopeCases(int64_t rows, int64_t heads, int64_t head_dim, ThreadPool& pool) {
  const auto x = RandomFloats(rows * heads * head_dim);
  // Of one angle, so that turning x again and again leaves it as large as it is.
  const auto half = static_cast<size_t>(head_dim / 2);
  const auto cosine = std::make_shared<Floats>(half, std::cos(1.0f)),
             sine = std::make_shared<Floats>(half, std::sin(1.0f));
  // A turn of a pair: four products, two sums.
  return ElementwiseCases(rows, 3.0 * static_cast<double>(rows * heads * head_dim),
                          FloatBytes(2 * rows * heads * head_dim + rows * head_dim), pool,
                          [=](const ElementwiseKernels& kernels, int64_t row) {
                            kernels.rotate(x->data() + row * heads * head_dim, cosine->data(), sine->data(), heads,
                                           head_dim);
                          });
}

std::vector<KernelCase> GateCases(Activation activation, int64_t rows, int64_t width, ThreadPool& pool) {
  const auto gate = RandomFloats(rows * width), up = RandomFloats(rows * width), y = RandomFloats(rows * width);
  // Negation, exponential, sum, quotient, product; gelu's argument takes three products and a sum more.
  const double flop = activation == Activation::kGelu ? 9 : 5;
  return ElementwiseCases(rows, flop * static_cast<double>(rows * width), FloatBytes(3 * rows * width), pool,
                          [=, gated = GateKernel(activation)](const ElementwiseKernels& kernels, int64_t row) {
                            (kernels.*gated)(gate->data() + row * width, up->data() + row * width, width,
                                             y->data() + row * width);
                          });
}

std::vector<KernelCase> AddCases(int64_t rows, int64_t width, ThreadPool& pool) {
  // Of zeros, so that the sum stays what it is.
  const auto x = std::make_shared<Floats>(static_cast<size_t>(rows * width)), y = RandomFloats(rows * width);
  return ElementwiseCases(rows, static_cast<double>(rows * width), FloatBytes(3 * rows * width), pool,
                          [=](const ElementwiseKernels& kernels, int64_t row) {
                            kernels.add(x->data() + row * width, width, y->data() + row * width);
                          });
}

}  // namespace ecld
