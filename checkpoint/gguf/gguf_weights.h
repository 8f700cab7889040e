#pragma once
// The tensors of a GGUF file under the names and in the row order of Hugging Face checkpoints.

#include "checkpoint/checkpoint_writer.h"
#include "checkpoint/gguf/gguf_file.h"
#include "core/threads.h"

namespace ecld {

// "blk.3.attn_q.weight" for "model.layers.3.self_attn.q_proj.weight".
std::string GgufTensorName(const TensorSpec& spec);

// The tensors that a checkpoint has no place for and that no logit depends on. THROWS Error unless the file holds every
// tensor of the table in its shape, and no other.
std::vector<std::string> CheckGgufTensors(const GgufContents& gguf, const std::vector<TensorSpec>& table);

// Row order of the query and key matrices (and biases) of architecture llama: GGUF interleaves the two halves of each
// head, [heads, head_dim / 2, 2], where Hugging Face keeps them apart, [heads, 2, head_dim / 2].
// Whether the rows of this parameter are in that order in a GGUF file of this model.
bool IsInterleaved(const TensorSpec& spec, const ModelConfig& config);
// Where row `row` of the first form stands in the second.
int64_t UninterleavedRow(int64_t row, int64_t head_dim);
// Reorders whole heads of rows [heads * head_dim, columns] from the first form to the second.
void UndoHeadInterleave(std::span<const float> rows, int64_t head_dim, int64_t columns, std::span<float> out);

// Dequantizes one tensor and writes it in writer.config().dtype, some MiB at a time.
// REQUIRES: CheckGgufTensors passed. THROWS Error on a value that is NaN or does not fit the type.
void WriteGgufTensor(const GgufContents& gguf, const TensorSpec& spec, CheckpointWriter& writer, ThreadPool& pool);

}  // namespace ecld
