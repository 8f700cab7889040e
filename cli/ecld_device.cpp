// ecld-device: runs, evaluates, profiles and inspects checkpoints on the device they are meant for. No Torch.

#include "cli/device/verbs.h"

int main(int argc, char** argv) {
  return ecld::RunProgram("ecld-device", "Run and measure compressed language models on this device.",
                          ecld::DeviceVerbs(), argc, argv);
}
