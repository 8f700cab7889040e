#include "model/trained_attention.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace ecld {
namespace {

constexpr int64_t kQueries = 128;  // at a time

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// All of it with the heads that share a key in a row: queries [keys' heads of all windows, heads that share, tokens,
// head_dim], keys and values [keys' heads of all windows, tokens, head_dim].
struct Attention {
  at::Tensor queries, keys, values;
  int64_t window;
  double scale;

  int64_t tokens() const { return keys.size(1); }
};

// Consecutive queries, and the keys that they see.
struct Piece {
  int64_t first, count, first_key, keys;

  // Of queries or what has their shape: [.., heads that share * count, head_dim].
  at::Tensor Of(const at::Tensor& queries) const { return queries.narrow(2, first, count).flatten(1, 2); }
  at::Tensor Seen(const at::Tensor& of_keys) const { return of_keys.narrow(1, first_key, keys); }
  at::Tensor Into(const at::Tensor& rows, const at::Tensor& queries) const {
    return rows.view({queries.size(0), queries.size(1), count, queries.size(3)});
  }
};

template <class Body>
void ForPieces(const Attention& attention, Body body) {
  for (int64_t first = 0; first < attention.tokens(); first += kQueries) {
    const int64_t count = std::min(kQueries, attention.tokens() - first);
    const int64_t first_key = attention.window > 0 ? std::max<int64_t>(0, first - attention.window + 1) : 0;
    body(Piece{first, count, first_key, first + count - first_key});
  }
}

// [.., heads that share * count, keys]
at::Tensor Probabilities(const Attention& attention, const Piece& piece) {
  at::Tensor scores =
      at::bmm(piece.Of(attention.queries).mul(attention.scale), piece.Seen(attention.keys).transpose(1, 2));
  // Without a window, all keys before the first of these queries are seen.
  const int64_t first_hidden = attention.window > 0 ? 0 : piece.keys - piece.count, some = piece.keys - first_hidden;
  const at::Tensor query = at::arange(piece.first, piece.first + piece.count).unsqueeze(1);
  const at::Tensor distance = query - at::arange(piece.first + piece.count - some, piece.first + piece.count);
  at::Tensor hidden = distance < 0;
  if (attention.window > 0) hidden.logical_or_(distance >= attention.window);
  const at::Tensor mask = at::zeros({piece.count, some}).masked_fill_(hidden, -std::numeric_limits<float>::infinity());
  scores.view({scores.size(0), attention.queries.size(1), piece.count, piece.keys})
      .narrow(3, first_hidden, some)
      .add_(mask);
  return at::softmax(scores, -1);
}

struct AttentionFunction : torch::autograd::Function<AttentionFunction> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& queries, const at::Tensor& keys,
                            const at::Tensor& values, int64_t window, double scale, int64_t products) {
    const Attention attention{queries, keys, values, window, scale};
    const auto type = static_cast<at::ScalarType>(products);
    const at::Tensor factors = values.to(type), out = at::empty_like(queries);
    ForPieces(attention, [&](const Piece& piece) {
      const at::Tensor rows = at::bmm(Probabilities(attention, piece).to(type), piece.Seen(factors));
      out.narrow(2, piece.first, piece.count).copy_(piece.Into(rows, queries));
    });
    context->save_for_backward({queries, keys, values, out});
    context->saved_data["window"] = window;
    context->saved_data["scale"] = scale;
    context->saved_data["products"] = products;
    return out;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const variable_list saved = context->get_saved_variables();
    const Attention attention{saved[0], saved[1], saved[2], context->saved_data["window"].toInt(),
                              context->saved_data["scale"].toDouble()};
    const auto type = static_cast<at::ScalarType>(context->saved_data["products"].toInt());
    const at::Tensor of_out = gradients[0].contiguous(), shared = (of_out * saved[3]).sum(-1, /*keepdim=*/true);
    const at::Tensor of_queries = at::empty_like(saved[0]);
    const at::Tensor of_keys = at::zeros_like(saved[1]), of_values = at::zeros_like(saved[2]);
    const at::Tensor queries = saved[0].to(type), keys = saved[1].to(type), values = saved[2].to(type);
    const at::Tensor wanted = of_out.to(type);
    ForPieces(attention, [&](const Piece& piece) {
      const at::Tensor p = Probabilities(attention, piece), rows = piece.Of(wanted);
      piece.Seen(of_values).add_(at::bmm(p.to(type).transpose(1, 2), rows));
      at::Tensor of_scores = at::bmm(rows, piece.Seen(values).transpose(1, 2)).to(at::kFloat);
      of_scores = of_scores.sub_(piece.Of(shared)).mul_(p).to(type);
      const at::Tensor of_rows = at::bmm(of_scores, piece.Seen(keys));
      of_queries.narrow(2, piece.first, piece.count).copy_(piece.Into(of_rows, of_queries));
      piece.Seen(of_keys).add_(at::bmm(of_scores.transpose(1, 2), piece.Of(queries)), attention.scale);
    });
    return {of_queries.mul_(attention.scale), of_keys, of_values, {}, {}, {}};
  }
};

}  // namespace

at::Tensor TrainedAttention(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value, int64_t window,
                            double query_scalar, at::ScalarType products) {
  const int64_t shared_by = query.size(1) / key.size(1);
  const at::Tensor keys = key.contiguous().flatten(0, 1), values = value.contiguous().flatten(0, 1);
  const at::Tensor queries = query.contiguous().view({keys.size(0), shared_by, query.size(2), query.size(3)});
  const at::Tensor out = AttentionFunction::apply(queries, keys, values, window, 1 / std::sqrt(query_scalar),
                                                  static_cast<int64_t>(products));
  return out.view(query.sizes());
}

}  // namespace ecld
