#include "checkpoint/model_fields.h"

#include "checkpoint/known_fields.h"
#include "checkpoint/layer_sizes.h"

namespace ecld {
namespace {

using enum FieldUse;

constexpr KnownField kCommon[] = {
    {"model_type", kApplied},
    {"architectures", kApplied},
    {"vocab_size", kApplied},
    {"hidden_size", kApplied},
    {"intermediate_size", kApplied},
    {"num_hidden_layers", kApplied},
    {"num_attention_heads", kApplied},
    {"num_key_value_heads", kApplied},
    {kPerLayerKey, kApplied},
    {"head_dim", kApplied},  // of Qwen2 too, whose class keeps it as an extra attribute that its attention reads
    {"hidden_act", kApplied},
    {"max_position_embeddings", kApplied},
    {"rms_norm_eps", kApplied},
    {"tie_word_embeddings", kApplied},
    {"rope_theta", kApplied},
    {"rope_scaling", kApplied},
    {"rope_parameters", kApplied},
    {"partial_rotary_factor", kApplied},
    {"original_max_position_embeddings", kApplied},
    {"dtype", kApplied},
    {"torch_dtype", kApplied},
    {"bos_token_id", kApplied},
    {"eos_token_id", kApplied},
    {"quantization_config", kApplied},
    {"compression_config", kApplied},
    {kAllocationKey, kApplied},
    {"pad_token_id", kNoEffect, "texts are not padded"},
    {"sep_token_id", kNoEffect, "of encoders"},
    {"unk_token_id", kNoEffect, "the tokenizer says it"},
    {"cls_token_id", kNoEffect, "of encoders"},
    {"mask_token_id", kNoEffect, "of encoders"},
    {"initializer_range", kNoEffect, "training"},
    {"attention_dropout", kNoEffect, "training"},
    {"resid_pdrop", kNoEffect, "training"},
    {"embd_pdrop", kNoEffect, "training"},
    {"use_cache", kNoEffect, "there is a cache wherever it helps"},
    {"transformers_version", kNoEffect, "who wrote the file"},
    {"_name_or_path", kNoEffect, "where it came from"},
    {"name_or_path", kNoEffect, "where it came from"},
    {"_commit_hash", kNoEffect, "where it came from"},
    {"output_attentions", kNoEffect, "what a call returns"},
    {"output_hidden_states", kNoEffect, "what a call returns"},
    {"return_dict", kNoEffect, "what a call returns"},
    {"use_return_dict", kNoEffect, "what a call returns"},
    {"tie_last_hidden_states", kNoEffect, "what a call returns"},
    {"id2label", kNoEffect, "of classifiers"},
    {"label2id", kNoEffect, "of classifiers"},
    {"num_labels", kNoEffect, "of classifiers"},
    {"problem_type", kNoEffect, "of classifiers"},
    {"finetuning_task", kNoEffect, "of classifiers"},
    {"chunk_size_feed_forward", kNoEffect, "how encoders cut their work"},
    {"attn_implementation", kNoEffect, "another program's choice of kernels"},
    {"_attn_implementation", kNoEffect, "another program's choice of kernels"},
    {"_attn_implementation_internal", kNoEffect, "another program's choice of kernels"},
    {"_attn_implementation_autoset", kNoEffect, "another program's choice of kernels"},
    {"experts_implementation", kNoEffect, "another program's choice of kernels"},
    {"_experts_implementation", kNoEffect, "another program's choice of kernels"},
    {"_experts_implementation_internal", kNoEffect, "another program's choice of kernels"},
    {"torchscript", kNoEffect, "how a model is traced"},
    {"use_bfloat16", kNoEffect, "TensorFlow"},
    {"tf_legacy_loss", kNoEffect, "TensorFlow"},
    {"is_decoder", kNoEffect, "all families are decoders"},
    {"cross_attention_hidden_size", kNoEffect, "of add_cross_attention"},
    {"tie_encoder_decoder", kNoEffect, "of encoder-decoders"},
    {"tokenizer_class", kNoEffect, "the tokenizer's files say it"},
    {"prefix", kNoEffect, "of pipelines"},
    {"task_specific_params", kNoEffect, "of pipelines"},
    {"temperature", kNoEffect, "read where there is no generation_config.json, by run and serve"},
    {"top_k", kNoEffect, "read where there is no generation_config.json, by run and serve"},
    {"top_p", kNoEffect, "read where there is no generation_config.json, by run and serve"},
    {"do_sample", kNoEffect, "read where there is no generation_config.json, by run and serve"},
    {"repetition_penalty", kNoEffect, "read where there is no generation_config.json, by run and serve"},
    {"max_length", kNoEffect, "read where there is no generation_config.json, by run and serve"},
    {"auto_map", kTold, "code of its own beside the weights, which is not run"},
    {"is_encoder_decoder", kRefused, "an encoder beside the decoder", "false"},
    {"is_causal", kRefused, "attention to later tokens", "true"},
    {"add_cross_attention", kRefused, "attention to an encoder", "false"},
    {"pruned_heads", kRefused, "other numbers of heads in some layers"},
    {"transformers_weights", kRefused, "weights in a file of another name"},
};

constexpr KnownField kLlama[] = {
    {"attention_bias", kApplied},
    {"mlp_bias", kApplied},
    {"pretraining_tp", kNoEffect, "how the products were cut in training; the sums are the same"},
};

constexpr KnownField kQwen2[] = {
    {"use_sliding_window", kApplied},
    {"sliding_window", kApplied},
    {"max_window_layers", kApplied},
    {"layer_types", kApplied},
};

constexpr KnownField kQwen3[] = {
    {"attention_bias", kApplied},    {"use_sliding_window", kApplied}, {"sliding_window", kApplied},
    {"max_window_layers", kApplied}, {"layer_types", kApplied},
};

constexpr KnownField kMistral[] = {
    {"sliding_window", kApplied},
    {"layer_types", kApplied},  // transformers then takes the class of the newer models, which reads it
};

constexpr KnownField kGemma3[] = {
    {"attention_bias", kApplied},
    {"hidden_activation", kApplied},
    {"query_pre_attn_scalar", kApplied},
    {"sliding_window", kApplied},
    {"layer_types", kApplied},
    {"sliding_window_pattern", kApplied},
    {"_sliding_window_pattern", kApplied},
    {"rope_local_base_freq", kApplied},
    {"cache_implementation", kNoEffect, "how the cache is kept"},
    {"attn_logit_softcapping", kRefused, "scores bent by tanh"},
    {"final_logit_softcapping", kRefused, "logits bent by tanh"},
    {"use_bidirectional_attention", kRefused, "attention to later tokens", "false"},
};

constexpr KnownField kGeneration[] = {
    {"eos_token_id", kApplied},
    {"bos_token_id", kApplied},
    {"do_sample", kApplied},
    {"temperature", kApplied},
    {"top_k", kApplied},
    {"top_p", kApplied},
    {"min_p", kApplied},
    {"repetition_penalty", kApplied},
    {"pad_token_id", kNoEffect, "texts are not padded"},
    {"max_length", kNoEffect, "the caller says how long an answer may be"},
    {"max_new_tokens", kNoEffect, "the caller says how long an answer may be"},
    {"max_time", kNoEffect, "the caller says how long an answer may be"},
    {"transformers_version", kNoEffect, "who wrote the file"},
    {"_from_model_config", kNoEffect, "who wrote the file"},
    {"use_cache", kNoEffect, "there is a cache wherever it helps"},
    {"cache_implementation", kNoEffect, "how the cache is kept"},
    {"cache_config", kNoEffect, "how the cache is kept"},
    {"max_cache_len", kNoEffect, "how the cache is kept"},
    {"return_legacy_cache", kNoEffect, "how the cache is kept"},
    {"low_memory", kNoEffect, "how another program works"},
    {"compile_config", kNoEffect, "how another program works"},
    {"disable_compile", kNoEffect, "how another program works"},
    {"continuous_batching_config", kNoEffect, "how another program works"},
    {"prefill_chunk_size", kNoEffect, "how another program works"},
    {"output_attentions", kNoEffect, "what a call returns"},
    {"output_hidden_states", kNoEffect, "what a call returns"},
    {"output_scores", kNoEffect, "what a call returns"},
    {"output_logits", kNoEffect, "what a call returns"},
    {"return_dict_in_generate", kNoEffect, "what a call returns"},
    {"num_return_sequences", kNoEffect, "the caller says it"},
    {"remove_invalid_values", kNoEffect, "logits that are no numbers are an error"},
    {"renormalize_logits", kNoEffect, "probabilities are normalized"},
    {"is_assistant", kNoEffect, "of draft models; the answers are the same"},
    {"num_assistant_tokens", kNoEffect, "of draft models; the answers are the same"},
    {"num_assistant_tokens_schedule", kNoEffect, "of draft models; the answers are the same"},
    {"assistant_confidence_threshold", kNoEffect, "of draft models; the answers are the same"},
    {"assistant_early_exit", kNoEffect, "of draft models; the answers are the same"},
    {"assistant_ensemble_weight", kNoEffect, "of draft models"},
    {"assistant_lookbehind", kNoEffect, "of draft models; the answers are the same"},
    {"target_lookbehind", kNoEffect, "of draft models; the answers are the same"},
    {"speculation_type", kNoEffect, "of draft models; the answers are the same"},
    {"prompt_lookup_num_tokens", kNoEffect, "of draft models; the answers are the same"},
    {"max_matching_ngram_size", kNoEffect, "of draft models; the answers are the same"},
    {"use_mtp", kNoEffect, "of draft models; the answers are the same"},
    {"early_stopping", kNoEffect, "of num_beams"},
    {"length_penalty", kNoEffect, "of num_beams"},
    {"diversity_penalty", kNoEffect, "of num_beams"},
    {"num_beam_groups", kNoEffect, "of num_beams"},
    {"constraints", kNoEffect, "of num_beams"},
    {"decoder_start_token_id", kNoEffect, "of encoder-decoders"},
    {"encoder_no_repeat_ngram_size", kNoEffect, "of encoder-decoders"},
    {"encoder_repetition_penalty", kTold, "a penalty on what is not in the prompt", "1.0"},
    {"num_beams", kTold, "beam search", "1"},
    {"penalty_alpha", kTold, "contrastive search", "0.0"},
    {"dola_layers", kTold, "logits of earlier layers subtracted"},
    {"guidance_scale", kTold, "classifier-free guidance", "1.0"},
    {"typical_p", kTold, "typical sampling", "1.0"},
    {"top_h", kTold, "entropy-bounded sampling"},
    {"epsilon_cutoff", kTold, "epsilon sampling", "0.0"},
    {"eta_cutoff", kTold, "eta sampling", "0.0"},
    {"no_repeat_ngram_size", kTold, "no sequence of tokens twice", "0"},
    {"min_length", kTold, "a least length", "0"},
    {"min_new_tokens", kTold, "a least length", "0"},
    {"bad_words_ids", kTold, "tokens that may not come"},
    {"force_words_ids", kTold, "tokens that must come"},
    {"suppress_tokens", kTold, "tokens that may not come"},
    {"begin_suppress_tokens", kTold, "tokens that may not come first"},
    {"forced_bos_token_id", kTold, "a first token"},
    {"forced_eos_token_id", kTold, "a last token"},
    {"sequence_bias", kTold, "a bias on sequences of tokens"},
    {"exponential_decay_length_penalty", kTold, "a penalty that grows with the length"},
    {"stop_strings", kTold, "strings that end an answer"},
    {"token_healing", kTold, "the prompt's last tokens split again", "false"},
    {"watermarking_config", kTold, "a watermark in the answer"},
    {"chat_format", kNoEffect, "the chat format of an older program"},
    {"max_window_size", kNoEffect, "an older program's bound on the history"},
};

constexpr KnownField kTokenizer[] = {
    {"tokenizer_class", kApplied},
    {"add_bos_token", kApplied},
    {"add_eos_token", kApplied},
    {"*_token", kApplied},
    {"legacy", kApplied},
    {"chat_template", kApplied},
    {"added_tokens_decoder", kApplied},
    {"additional_special_tokens", kApplied},
    {"extra_special_tokens", kApplied},
    {"model_specific_special_tokens", kTold, "names of its own for tokens in chat templates"},
    {"add_prefix_space", kApplied},
    {"split_special_tokens", kApplied},
    {"model_max_length", kNoEffect, "config.json says how many positions there are"},
    {"max_len", kNoEffect, "config.json says how many positions there are"},
    {"max_length", kNoEffect, "texts are neither padded nor cut"},
    {"padding", kNoEffect, "texts are neither padded nor cut"},
    {"padding_side", kNoEffect, "texts are neither padded nor cut"},
    {"pad_to_multiple_of", kNoEffect, "texts are neither padded nor cut"},
    {"pad_token_type_id", kNoEffect, "texts are neither padded nor cut"},
    {"tokenizer_padding", kNoEffect, "texts are neither padded nor cut"},
    {"truncation", kNoEffect, "texts are neither padded nor cut"},
    {"truncation_side", kNoEffect, "texts are neither padded nor cut"},
    {"truncation_strategy", kNoEffect, "texts are neither padded nor cut"},
    {"tokenizer_truncation", kNoEffect, "texts are neither padded nor cut"},
    {"stride", kNoEffect, "texts are neither padded nor cut"},
    {"model_input_names", kNoEffect, "what a call returns"},
    {"return_token_type_ids", kNoEffect, "what a call returns"},
    {"errors", kNoEffect, "bytes that are no text become the replacement character"},
    {"clean_up_tokenization_spaces", kNoEffect, "not done for BPE"},
    {"spaces_between_special_tokens", kNoEffect, "of tokenizers in Python"},
    {"use_default_system_prompt", kNoEffect, "the chat template says it"},
    {"response_template", kNoEffect, "how clients parse an answer"},
    {"response_schema", kNoEffect, "how clients parse an answer"},
    {"chat_control_tokens", kNoEffect, "read when a caller asks for cleaned messages"},
    {"processor_class", kNoEffect, "of images and sounds"},
    {"verbose", kNoEffect, "how much another program prints"},
    {"name_or_path", kNoEffect, "where it came from"},
    {"_commit_hash", kNoEffect, "where it came from"},
    {"is_local", kNoEffect, "where it came from"},
    {"local_files_only", kNoEffect, "where it came from"},
    {"transformers_version", kNoEffect, "who wrote the file"},
    {"backend", kNoEffect, "who wrote the file"},
    {"files_loaded", kNoEffect, "who wrote the file"},
    {"init_inputs", kNoEffect, "who wrote the file"},
    {"from_slow", kNoEffect, "who wrote the file"},
    {"use_fast", kNoEffect, "who wrote the file"},
    {"tokenizer_file", kNoEffect, "the files of the directory are read"},
    {"vocab_file", kNoEffect, "the files of the directory are read"},
    {"merges_file", kNoEffect, "the files of the directory are read"},
    {"vocab", kNoEffect, "the files of the directory are read"},
    {"merges", kNoEffect, "the files of the directory are read"},
    {"special_tokens_map_file", kNoEffect, "the files of the directory are read"},
    {"unk_id", kNoEffect, "the files of the directory are read"},
    {"fast_tokenizer_files", kTold, "a tokenizer.json for each version of another program"},
    {"auto_map", kTold, "code of its own beside the tokenizer, which is not run"},
    {"fix_mistral_regex", kTold, "another split into words than tokenizer.json has", "false"},
    {"clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output", kTold,
     "spaces taken away before punctuation", "false"},
    {"sp_model_kwargs", kRefused, "sampled splits of words"},
};

FieldTable FamilyFields(Family family) {
  switch (family) {
    case Family::kLlama:
      return kLlama;
    case Family::kQwen2:
      return kQwen2;
    case Family::kQwen3:
      return kQwen3;
    case Family::kGemma3:
      return kGemma3;
    case Family::kMistral:
      break;
  }
  return kMistral;
}

void AddNotes(const std::filesystem::path& file, FieldTable known, std::vector<std::string>* notes) {
  if (!std::filesystem::exists(file)) return;
  const Json json = ReadJsonFile(file);
  for (const std::string& note : TellFields(JsonView(json, file.string()), {known}))
    notes->push_back(file.filename().string() + ": " + note);
}

}  // namespace

std::vector<std::string> ConfigNotes(const JsonView& config, Family family) {
  // Older files hold what generation_config.json holds today; run and serve read it where there is no such file.
  return TellFields(config, {kCommon, FamilyFields(family), kGeneration});
}

std::vector<std::string> SideFileNotes(const std::filesystem::path& directory) {
  std::vector<std::string> notes;
  AddNotes(directory / "tokenizer_config.json", kTokenizer, &notes);
  AddNotes(directory / "generation_config.json", kGeneration, &notes);
  return notes;
}

FieldTable GenerationFields() { return kGeneration; }

}  // namespace ecld
