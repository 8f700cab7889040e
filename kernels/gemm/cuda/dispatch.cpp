#include "kernels/gemm/cuda/dispatch.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <charconv>
#include <set>

#include "core/error.h"

namespace ecld {
namespace {

constexpr std::string_view kColumns = "cc,bits,type,m,n,k,implementation,splits,source,device";
constexpr CudaDispatchRange kAll;
// What there is to cover: every product that the kernels take.
constexpr CudaDispatchRange kCc = {80, kAll.high}, kSizes = {1, kAll.high};
constexpr std::array<int64_t, 4> kBits = {2, 3, 4, 8};

// The cells of a line; one may be quoted so that it can hold commas.
std::vector<std::string> Cells(std::string_view line, const std::string& where) {
  std::vector<std::string> cells(1);
  bool quoted = false;
  for (char c : line) {
    if (c == '"')
      quoted = !quoted;
    else if (c == ',' && !quoted)
      cells.emplace_back();
    else
      cells.back() += c;
  }
  if (quoted) Fail(where, "a quotation mark is not closed");
  return cells;
}

int64_t Number(std::string_view text, std::string_view column, const std::string& where) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size() || value < 0)
    Fail(where, "{}: \"{}\" is not a number of 0 or more", column, text);
  return value;
}

CudaDispatchRange Range(std::string_view text, std::string_view column, const std::string& where) {
  if (text == "*") return kAll;
  const size_t dash = text.find('-');
  const int64_t low = Number(text.substr(0, dash), column, where);
  if (dash == std::string_view::npos) return {low, low};
  if (dash + 1 == text.size()) return {low, kAll.high};
  const int64_t high = Number(text.substr(dash + 1), column, where);
  if (high < low) Fail(where, "{}: {} is a range from more to less", column, text);
  return {low, high};
}

CudaDispatchRange TypeRange(std::string_view text, const std::string& where) {
  if (text == "*") return {0, 1};
  if (text != "F16" && text != "BF16") Fail(where, "type: \"{}\" is none of F16, BF16, *", text);
  return text == "F16" ? CudaDispatchRange{0, 0} : CudaDispatchRange{1, 1};
}

CudaDispatchRow Row(const std::vector<std::string>& cells, const std::string& where,
                    std::span<const std::string_view> implementations) {
  if (cells.size() != 10) Fail(where, "found {} cells, a row has the 10 of {}", cells.size(), kColumns);
  CudaDispatchRow row = {.cc = Range(cells[0], "cc", where),
                         .bits = Range(cells[1], "bits", where),
                         .type = TypeRange(cells[2], where),
                         .m = Range(cells[3], "m", where),
                         .n = Range(cells[4], "n", where),
                         .k = Range(cells[5], "k", where),
                         .implementation = cells[6],
                         .splits = static_cast<int>(std::min<int64_t>(Number(cells[7], "splits", where), 1 << 20)),
                         .measured = cells[8] == "measured",
                         .device = cells[9]};
  if (std::find(implementations.begin(), implementations.end(), cells[6]) == implementations.end())
    Fail(where, "no CUDA matrix product is named \"{}\"{}", cells[6],
         DidYouMean(cells[6], {implementations.begin(), implementations.end()}));
  if (cells[8] != "measured" && cells[8] != "modelled")
    Fail(where, "source: \"{}\" is neither measured nor modelled", cells[8]);
  if (row.device.empty()) Fail(where, "device is empty; it says on what, or for the limits of what, a row holds");
  return row;
}

std::array<int64_t, 6> Values(const CudaDispatchKey& key) {
  return {key.compute_capability, key.bits, key.type == DType::kF16 ? 0 : 1, key.m, key.n, key.k};
}

bool Holds(const CudaDispatchRow& row, const std::array<int64_t, 6>& values) {
  const std::array ranges = {row.cc, row.bits, row.type, row.m, row.n, row.k};
  for (size_t i = 0; i < ranges.size(); ++i)
    if (!ranges[i].Holds(values[i])) return false;
  return true;
}

}  // namespace

CudaDispatch CudaDispatch::Parse(std::string_view text, const std::string& where,
                                 std::span<const std::string_view> implementations) {
  CudaDispatch table;
  bool heading = false;
  for (int number = 1; !text.empty(); ++number) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (line.empty() || line.front() == '#') continue;
    const std::string at = fmt::format("{}:{}", where, number);
    if (!heading && line != kColumns) Fail(at, "the columns are \"{}\", they must be \"{}\"", line, kColumns);
    if (heading) {
      table.rows_.push_back(Row(Cells(line, at), at, implementations));
      table.rows_.back().line = number;
    }
    heading = true;
  }
  table.CheckCover(where);
  return table;
}

// Which rows hold a product changes only where a row begins or has ended, so these places, in every combination, stand
// for all products.
void CudaDispatch::CheckCover(const std::string& where) const {
  const auto places = [&](CudaDispatchRange CudaDispatchRow::*range, const CudaDispatchRange& all) {
    std::set<int64_t> found = {all.low};
    for (const CudaDispatchRow& row : rows_) {
      if (all.Holds((row.*range).low)) found.insert((row.*range).low);
      if ((row.*range).high != kAll.high && all.Holds((row.*range).high + 1)) found.insert((row.*range).high + 1);
    }
    return found;
  };
  const auto ms = places(&CudaDispatchRow::m, kSizes), ns = places(&CudaDispatchRow::n, kSizes),
             ks = places(&CudaDispatchRow::k, kSizes);
  for (int64_t cc : places(&CudaDispatchRow::cc, kCc))
    for (int64_t bits : kBits)
      for (int64_t type : {0, 1})
        for (int64_t m : ms)
          for (int64_t n : ns)
            for (int64_t k : ks) {
              const CudaDispatchRow* found = nullptr;
              for (const CudaDispatchRow& row : rows_) {
                if (!Holds(row, {cc, bits, type, m, n, k})) continue;
                if (found != nullptr)
                  Fail(fmt::format("{}:{}", where, row.line),
                       "m {}, n {}, k {} of {} bits and type {} for cc {} have a row already, in line {}", m, n, k,
                       bits, type == 0 ? "F16" : "BF16", cc, found->line);
                found = &row;
              }
              if (found == nullptr)
                Fail(where, "m {}, n {}, k {} of {} bits and type {} for cc {} have no row", m, n, k, bits,
                     type == 0 ? "F16" : "BF16", cc);
            }
}

const CudaDispatchRow& CudaDispatch::Find(const CudaDispatchKey& key) const {
  const auto found = std::find_if(rows_.begin(), rows_.end(), [&](const auto& row) { return Holds(row, Values(key)); });
  assert(found != rows_.end());
  return *found;
}

const CudaDispatch& ShippedCudaDispatch() {
  static const CudaDispatch table =
      CudaDispatch::Parse(ShippedCudaDispatchFiles().front().content, "dispatch/cuda.csv", kCudaDispatched);
  return table;
}

}  // namespace ecld
