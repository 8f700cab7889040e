#include "cli/device/verbs.h"

namespace ecld {

std::vector<Verb> DeviceVerbs() {
  return {{"run", "generate text with a checkpoint", AddRun},
          {"serve", "answer OpenAI's API over HTTP with a checkpoint", AddServe},
          {"eval", "measure what a checkpoint is worth on a text", AddEval},
          {"profile", "measure what a checkpoint costs on this device", AddProfile},
          {"scores", "show what a profile says: accuracy, hallucination, energy, accessibility", AddScores},
          {"report", "put results side by side on one page", AddReport},
          {"offload", "simulate who runs what, where: policies over device profiles", AddOffload},
          {"bench", "measure how fast a checkpoint runs on this device", AddBench},
          {"inspect", "show what a checkpoint consists of", AddInspect}};
}

}  // namespace ecld
