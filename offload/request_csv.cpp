#include <fmt/format.h>

#include "offload/experiment.h"

namespace ecld::offload {
namespace {

// Empty: not known.
std::string Cell(const std::optional<double>& value) { return value ? fmt::format("{}", *value) : ""; }
std::string Cell(const std::optional<bool>& value) { return value ? (*value ? "1" : "0") : ""; }

}  // namespace

std::string RequestCsvHeader() {
  return "request,device,task,place,variant,probed,arrived_s,latency_s,prompt_tok,answer_tok,energy_J,uncertainty,"
         "correct,halluc\n";
}

std::string RequestCsvLine(const World& world, const RequestRecord& record) {
  const DeviceClass& device = world.classes[world.class_of[record.device]];
  const bool local = record.place == kLocal;
  const Answerer& answerer = local ? device.variants[static_cast<size_t>(record.variant)]
                                   : world.servers[static_cast<size_t>(record.place)].answerer;
  return fmt::format("{},{},{},{},{},{},{},{},{},{},{},{},{},{}\n", record.number, record.device,
                     record.has_item ? world.scenario.items.tasks[world.task_of[record.item]] : "",
                     local ? "local" : world.servers[static_cast<size_t>(record.place)].spec.name,
                     answerer.model->variant.id, record.probed ? 1 : 0, Seconds(record.arrived),
                     Seconds(record.done - record.arrived), record.prompt_tok, record.answer_tok, Cell(record.joules),
                     Cell(record.uncertainty), Cell(record.right), Cell(record.hallucinated));
}

}  // namespace ecld::offload
