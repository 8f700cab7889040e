#pragma once
// What a run of tasks will cost, said before it begins: questions, tokens and time.

#include <cstdint>
#include <string>

namespace ecld {

// tokens: what a text has in common with the beginning of the one before is read once. write_tok: at most, since a text
// may stop before.
struct TaskCost {
  int64_t items = 0, texts = 0;
  double read_tok = 0, write_tok = 0;

  TaskCost& operator+=(const TaskCost& other) {
    items += other.items;
    texts += other.texts;
    read_tok += other.read_tok;
    write_tok += other.write_tok;
    return *this;
  }
};

// Tokens per second, measured just before; modelled by them, so a forecast holds for texts of like length. write: 0
// where nothing is to be written.
struct TaskRate {
  double read = 0, write = 0;
};

double Seconds(const TaskCost& cost, const TaskRate& rate);
// "300 items, 1200 texts: 56 k tokens to read, at most 3 k to write; about 2 min 10 s"
std::string Describe(const TaskCost& cost, const TaskRate& rate);

}  // namespace ecld
