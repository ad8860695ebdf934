// The program that runs inside a sandbox: pid 1, and the unpacker of configurations. It is small and linked
// statically, since a phase executes it up to three times, and holds nothing that an intruder could use.
#include <cstdio>
#include <string_view>

#include "sandbox/init.h"
#include "sandbox/unpack.h"

int main(int argc, char** argv) {
  std::string_view verb = argc > 1 ? argv[1] : "";
  if (verb == "sandbox-init") return terrane::sandbox::sandbox_init_main(argc - 1, argv + 1);
  if (verb == "unpack") return terrane::sandbox::unpack_main(argc - 1, argv + 1);
  std::fprintf(stderr, "usage: %s sandbox-init | unpack\n", argv[0]);
  return 2;
}
