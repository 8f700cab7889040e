#include "cli/workbench/verbs.h"

namespace ecld {

std::vector<Verb> WorkbenchVerbs() {
  return {{"import", "turn a GGUF file into a checkpoint directory", AddImport},
          {"compress", "run a recipe on a checkpoint", AddCompress},
          {"search", "find the values of a recipe that serve a model best", AddSearch},
          {"export", "write a checkpoint in the format of another program, without loss", AddExport},
          {"validate", "check a recipe, or every value of a checkpoint", AddValidate},
          {"offload", "simulate who runs what, where, and learn policies for it", AddOffloadWithTraining},
          {"passes", "list the passes that recipes are made of, and their options", AddPasses}};
}

}  // namespace ecld
